import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { join } from "node:path";
import { describe, it } from "node:test";
import { mountErofsLoops } from "#src/mount/erofs-engine.js";
import { bindTree, mountErofs, mountNodeImage, unmountImage } from "#src/mount/node-engines.js";
import { addon } from "#src/native/addon.js";
import { readJsonLines } from "../support/fixtures.ts";
import { contentOf, imageOfManyBlobs } from "../support/many-blobs.ts";
import { comparable, listMounted, shell, skipFuse } from "../support/mounted-image.ts";
import { NodeFolder } from "../support/node-folder.ts";
import { recordedTimes } from "../support/recorded-times.ts";

const skip = skipFuse || (addon() === undefined ? "the node's mount needs the native addon" : false);
const RUNS = ["v6-zstd-blake3", "v6-none-blake3", "v6-chunk-0x1000"];
const LARGE = "sizes/f3145745";

function expectedRows(run: string) {
  return recordedTimes(readJsonLines("golden", "made", run, "nydusd.jsonl"));
}

/** The sha256 of a file of a golden image. */
function expectedSum(run: string, path: string): string | undefined {
  return expectedRows(run).find((row) => row.path === path)?.sha256;
}

const pause = (milliseconds: number): Promise<void> => new Promise((done) => setTimeout(done, milliseconds));

describe("the FUSE superblock of a node", { skip }, () => {
  it("shows several images at once, each by both engines, in every field and byte", async () => {
    await using folder = await NodeFolder.open();
    await Promise.all(
      RUNS.map(async (run, index) => {
        const number = index + 1;
        await folder.add(number, run);
        const erofs = folder.mountpoint(`erofs-${number}`);
        const tree = folder.mountpoint(`tree-${number}`);
        const { reason } = await mountErofs(folder.node, number, erofs);
        assert.match(reason, /^0 of \d+ blobs are complete in the cache, /);
        await bindTree(folder.node, number, tree);
        assert.deepEqual(comparable(await listMounted(erofs)), expectedRows(run));
        assert.deepEqual(comparable(await listMounted(tree)), expectedRows(run));
      }),
    );
    assert.deepEqual(folder.errors, []);
  });

  it("gives files of different images different inode numbers", async () => {
    await using folder = await NodeFolder.open();
    await folder.add(1, RUNS[0] ?? "");
    await folder.add(2, RUNS[0] ?? "");
    const { stdout } = await shell(`stat -c '%d %i' ${folder.directory}/*/tree/${LARGE} | sort -u | wc -l`);
    assert.equal(stdout.trim(), "2");
  });

  it("lists images as they come and go, to root only", async () => {
    await using folder = await NodeFolder.open();
    const list = async () => (await shell(`ls ${folder.directory}`)).stdout.split("\n").filter(Boolean);
    assert.deepEqual(await list(), []);
    await folder.add(7, RUNS[0] ?? "");
    assert.deepEqual(await list(), ["7"]);
    const { stdout } = await shell(`stat -c '%n %F %a' ${folder.directory}/7/*`);
    const rows = stdout.split("\n").filter(Boolean);
    assert.deepEqual(
      rows.map((row) => row.replace(`${folder.directory}/7/`, "")),
      ["0 regular file 400", "boot regular file 400", "tree directory 755"],
    );
    await folder.add(9, RUNS[1] ?? "");
    assert.deepEqual(await list(), ["7", "9"]);
    const denied = await shell(`setpriv --reuid=65534 --clear-groups ls ${folder.directory}`);
    assert.notEqual(denied.status, 0);
    await folder.remove(7);
    assert.deepEqual(await list(), ["9"]);
    assert.notEqual((await shell(`cat ${folder.directory}/7/boot`)).status, 0);
  });

  it("reads the same at 1,000 random places by both engines as the file holds", async () => {
    await using folder = await NodeFolder.open();
    const run = RUNS[0] ?? "";
    await folder.add(1, run);
    const [erofs, tree] = [folder.mountpoint("erofs"), folder.mountpoint("tree")];
    await mountErofs(folder.node, 1, erofs);
    await bindTree(folder.node, 1, tree);
    const program = join(import.meta.dirname, "../support/read-at-random.js");
    const seed = Math.floor(Math.random() * 2 ** 31);
    const outputs = await Promise.all(
      [erofs, tree].map((mountpoint) =>
        shell(`${process.execPath} ${program} ${mountpoint} ${seed} 1000 ${expectedSum(run, LARGE)}`),
      ),
    );
    for (const { stdout, stderr } of outputs)
      assert.equal(stdout, "1000 reads, 0 wrong\n", `seed ${seed}: ${stderr}`);
    assert.deepEqual(folder.errors, []);
  });

  it("takes an image away while it and others are read: its readers fail, the others notice nothing", async () => {
    await using folder = await NodeFolder.open();
    const [kept = "", going = ""] = RUNS;
    await folder.add(1, kept);
    const tree = folder.mountpoint("kept");
    await mountErofs(folder.node, 1, tree);
    const reader = shell(
      `for i in 1 2 3 4 5 6; do echo 3 > /proc/sys/vm/drop_caches; sha256sum < ${tree}/${LARGE}; done | sort -u`,
    );
    for (let number = 2; number < 6; number++) {
      const image = await folder.add(number, going);
      const mountpoint = folder.mountpoint(`m-${number}`);
      await mountNodeImage(folder.node, number, mountpoint, { engine: number % 2 === 0 ? "fuse" : "erofs" });
      image.source.fault = "hang";
      const { misses } = folder.node.counts();
      const stuck = shell(`cat ${mountpoint}/${LARGE}`);
      while (folder.node.counts().misses === misses) await pause(5);
      const start = performance.now();
      await unmountImage(mountpoint);
      await folder.remove(number);
      assert.ok(performance.now() - start < 2000, `took ${performance.now() - start} ms`);
      assert.notEqual((await stuck).status, 0);
    }
    assert.equal((await reader).stdout, `${expectedSum(kept, LARGE)}  -\n`);
    assert.deepEqual(folder.errors, []);
  });

  it("gives EROFS 200 devices, whose names take more than a page of mount options", async () => {
    await using folder = await NodeFolder.open();
    const count = 200;
    const image = imageOfManyBlobs(count, join(folder.path, "cache-many"));
    await folder.node.addImage(1, image);
    const mountpoint = folder.mountpoint("m");
    await mountErofs(folder.node, 1, mountpoint);
    const sums = await shell(`cd ${mountpoint} && for row in $(seq 0 ${count - 1}); do sha256sum $row; done`);
    const expected = Array.from({ length: count }, (_, row) => {
      return `${createHash("sha256").update(contentOf(row)).digest("hex")}  ${row}\n`;
    });
    assert.deepEqual(sums, { status: 0, stdout: expected.join(""), stderr: "" });
    await unmountImage(mountpoint);
    await image.blobs[Symbol.asyncDispose]();
  });

  it("reads the same through loop devices, for kernels whose EROFS takes no files", async () => {
    await using folder = await NodeFolder.open();
    const run = RUNS[0] ?? "";
    await folder.add(1, run);
    const mountpoint = folder.mountpoint("m");
    const files = { bootstrap: `${folder.directory}/1/boot`, blobs: [`${folder.directory}/1/0`] };
    assert.equal(await mountErofsLoops(files, mountpoint), "through loop devices");
    assert.deepEqual(comparable(await listMounted(mountpoint)), expectedRows(run));
    const loops = async () =>
      (await shell(`losetup -l -n -O BACK-FILE | grep -c ${folder.path}`)).stdout.trim();
    assert.equal(await loops(), "2");
    await unmountImage(mountpoint);
    assert.equal(await loops(), "0");
    assert.deepEqual(folder.errors, []);
  });

  it("does not take a number twice", async () => {
    await using folder = await NodeFolder.open();
    await folder.add(3, RUNS[0] ?? "");
    await folder.remove(3);
    await assert.rejects(folder.add(3, RUNS[0] ?? ""), { code: "ERR_OPTION_INVALID" });
  });

  for (const what of ["a file by erofs", "a file by fuse", "a blob"]) {
    it(`lets a reader of ${what} go that is killed while it waits, and leaves alone one that got another signal`, async () => {
      await using folder = await NodeFolder.open({ readDeadlineMs: 20_000 });
      const image = await folder.add(1, RUNS[0] ?? "");
      const mountpoint = folder.mountpoint("m");
      await mountNodeImage(folder.node, 1, mountpoint, { engine: what.endsWith("erofs") ? "erofs" : "fuse" });
      image.source.fault = "hang";
      // Of a blob the reader waits for the answer itself, of the others for a page that readahead asked for.
      const path = what === "a blob" ? `${folder.directory}/1/0` : `${mountpoint}/${LARGE}`;
      const args = [`if=${path}`, "of=/dev/null", "bs=4096", "count=1"];
      const child = spawn("dd", args, { stdio: "ignore" });
      while (folder.node.counts().misses === 0) {
        assert.equal(child.exitCode, null);
        await pause(5);
      }
      // dd reports on SIGUSR1 and goes on.
      child.kill("SIGUSR1");
      await pause(300);
      assert.equal(child.exitCode, null);
      const start = performance.now();
      child.kill("SIGKILL");
      await once(child, "exit");
      assert.ok(performance.now() - start < 5000, `took ${performance.now() - start} ms`);
      assert.deepEqual(folder.errors, []);
    });
  }
});
