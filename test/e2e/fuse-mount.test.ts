import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync } from "node:fs";
import { open, readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { BootstrapView } from "#src/image/bootstrap-view.js";
import { addon } from "#src/native/addon.js";
import { readJsonLines } from "../support/fixtures.ts";
import { comparable, GoldenImage, listMounted, shell, skipFuse } from "../support/mounted-image.ts";
import { type GoldenRow, recordedTimes } from "../support/recorded-times.ts";

const RUN = "v6-zstd-blake3";
const LARGE = "sizes/f3145745";

/** The rows that nydusd showed, with what the image really records where nydusd shows something else. */
function expectedRows(): GoldenRow[] {
  return recordedTimes(readJsonLines("golden", "made", RUN, "nydusd.jsonl"));
}

describe("a mount by the fuse engine", { skip: skipFuse }, () => {
  const withoutXattrs = addon() === undefined ? "reading xattrs needs the native addon" : false;

  it("shows every field and every byte that nydusd shows", { skip: withoutXattrs }, async () => {
    await using image = GoldenImage.open(RUN);
    await image.mount();
    assert.deepEqual(comparable(await listMounted(image.mountpoint)), expectedRows());
    assert.deepEqual(image.errors, []);
  });

  it("gives the nid as st_ino, and st_blocks in units of 512 bytes", async () => {
    await using image = GoldenImage.open(RUN);
    await image.mount();
    const view = new BootstrapView(image.bootstrap);
    for (const { path, ino, bytes, blocks } of await listMounted(image.mountpoint)) {
      let nid = view.rootNid;
      for (const name of path === "." ? [] : path.split("/")) nid = view.lookup(view.inode(nid), name) ?? -1;
      assert.deepEqual({ path, ino, blocks }, { path, ino: nid, blocks: Math.ceil(bytes / 512) });
    }
  });

  it("reads the same at random offsets as from start to end", async () => {
    await using image = GoldenImage.open(RUN);
    await image.mount();
    const path = join(image.mountpoint, LARGE);
    const file = await open(path);
    // Random offsets first, on an empty cache; the whole file afterwards.
    const reads: { offset: number; bytes: Buffer }[] = [];
    for (let round = 0, offset = 12_345; round < 50; round++, offset = (offset * 48_271) % 2_147_483_647) {
      const { size } = await file.stat();
      const at = offset % size;
      const { buffer, bytesRead } = await file.read(Buffer.alloc(1 + (offset % 200_000)), 0, null, at);
      reads.push({ offset: at, bytes: buffer.subarray(0, bytesRead) });
    }
    await file.close();
    const whole = await readFile(path);
    for (const { offset, bytes } of reads) {
      assert.ok(bytes.length > 0);
      assert.ok(bytes.equals(whole.subarray(offset, offset + bytes.length)), `offset ${offset}`);
    }
  });

  it("serves 8 readers at once, cold", async () => {
    await using image = GoldenImage.open(RUN);
    await image.mount();
    const command = `cd ${image.mountpoint} && find . -type f -print0 | sort -z | xargs -0 cat | sha256sum`;
    const sums = await Promise.all(Array.from({ length: 8 }, () => shell(command)));
    assert.deepEqual(new Set(sums.map(({ status }) => status)), new Set([0]));
    assert.equal(new Set(sums.map(({ stdout }) => stdout)).size, 1);
    assert.equal(image.blobs.counts.fetchedChunks > 0, true);
  });

  it("answers what is cached in the workers alone", async () => {
    await using image = GoldenImage.open(RUN);
    await image.fill();
    const mount = await image.mount({ workers: 1 });
    // The first read of a blob opens it on the main thread.
    await shell(`cat ${image.mountpoint}/${LARGE} > /dev/null; echo 3 > /proc/sys/vm/drop_caches`);
    const before = mount.counts();
    await shell(`cat ${image.mountpoint}/${LARGE} > /dev/null`);
    const after = mount.counts();
    assert.equal(after.misses, before.misses);
    assert.ok(after.reads > before.reads);
  });

  it("fails with EIO, never with wrong bytes, while the source lies, and recovers when it stops", async () => {
    await using image = GoldenImage.open(RUN);
    await image.mount();
    image.source.fault = "flip";
    const path = join(image.mountpoint, LARGE);
    const bad = await shell(`cat ${path} | wc -c`);
    assert.equal(bad.stdout.trim(), "0");
    assert.match(bad.stderr, /Input\/output error/);
    assert.ok(image.errors.length > 0);
    image.source.fault = "none";
    const good = await shell(`sha256sum < ${path}`);
    const expected = expectedRows().find((row) => row.path === LARGE);
    assert.equal(good.stdout.slice(0, 64), expected?.sha256);
  });

  for (const fault of ["gone", "hang"] as const) {
    it(`fails with EIO within the deadline when the source is ${fault}`, async () => {
      await using image = GoldenImage.open(RUN);
      await image.mount({ readDeadlineMs: 300 });
      image.source.fault = fault;
      const start = performance.now();
      const result = await shell(`head -c 1 ${image.mountpoint}/${LARGE}`);
      assert.match(result.stderr, /Input\/output error/);
      // The kernel may try a page again that readahead failed on: a few deadlines, never 30 s.
      assert.ok(performance.now() - start < 5000, `took ${performance.now() - start} ms`);
      assert.deepEqual(
        new Set(image.errors.map((error) => (error as { code: string }).code)),
        new Set([fault === "gone" ? "ERR_SOURCE_UNAVAILABLE" : "ERR_DEADLINE_EXCEEDED"]),
      );
    });
  }

  it("closes at once while a read is in flight, and the reader gets an error", async () => {
    await using image = GoldenImage.open(RUN);
    const mount = await image.mount();
    image.source.fault = "hang";
    const reader = shell(`cat ${image.mountpoint}/${LARGE}`);
    while (mount.counts().misses === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    const start = performance.now();
    await mount.close();
    assert.ok(performance.now() - start < 5000);
    assert.notEqual((await reader).status, 0);
    assert.equal(mount.isServed, false);
  });

  it("ends when somebody else unmounts it", async () => {
    await using image = GoldenImage.open(RUN);
    const mount = await image.mount();
    assert.equal((await shell(`umount ${image.mountpoint}`)).status, 0);
    await mount.ended;
    await mount.close();
  });

  it("is mounted read-only, nosuid and nodev", async () => {
    await using image = GoldenImage.open(RUN);
    await image.mount();
    const { stdout } = await shell(`grep ' ${image.mountpoint} ' /proc/self/mountinfo`);
    assert.match(stdout, / ro,nosuid,nodev,relatime - fuse\.nydus nydus-test ro,/);
    const denied = await shell(`touch ${image.mountpoint}/x`);
    assert.match(denied.stderr, /Read-only file system/);
  });

  it("checks permissions in the kernel: other users read what the image lets them", async () => {
    await using image = GoldenImage.open(RUN);
    await image.mount();
    chmodSync(image.folder, 0o755);
    const rows = expectedRows().filter(({ type }) => type === "file");
    const secret = rows.find(({ mode }) => /^..[0-3][0-3]$/.test(mode));
    const as = (command: string) => shell(`setpriv --reuid=65534 --regid=65534 --clear-groups ${command}`);
    assert.match((await as(`cat "${image.mountpoint}/${secret?.path}"`)).stderr, /Permission denied/);
    assert.equal((await as(`cat ${image.mountpoint}/${LARGE}`)).status, 0);
  });

  for (const isBusy of [false, true]) {
    it(`leaves no mount and no process behind when its process dies of an error, ${isBusy ? "busy" : "idle"}`, async () => {
      await using image = GoldenImage.open(RUN);
      const program = join(import.meta.dirname, "../support/crash-while-mounted.js");
      const args = [program, RUN, image.mountpoint, join(image.folder, "other-cache")];
      const child = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "pipe"], timeout: 30_000 });
      await once(child.stdout, "data");
      const user = isBusy ? spawn("sleep", ["30"], { cwd: image.mountpoint, stdio: "ignore" }) : undefined;
      child.stderr.resume();
      child.stdin.end();
      const [status] = await once(child, "exit");
      user?.kill();
      assert.equal(status, 1);
      assert.notEqual((await shell(`grep ' ${image.mountpoint} ' /proc/self/mountinfo`)).status, 0);
    });
  }
});
