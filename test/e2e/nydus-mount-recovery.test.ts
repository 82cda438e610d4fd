import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { addon } from "#src/native/addon.js";
import { MOUNT_RETRY } from "#src/net/retry.js";
import { DockerRegistry, NO_DOCKER_REGISTRY } from "../support/docker-registry.ts";
import { fixturePath, readJsonLines } from "../support/fixtures.ts";
import { made } from "../support/golden-images.ts";
import { MountFolder } from "../support/mount-folder.ts";
import { comparable, listMounted, shell, skipFuse } from "../support/mounted-image.ts";
import { recordedTimes } from "../support/recorded-times.ts";
import { runCommand } from "../support/run-command.ts";

const RUN = "v6-chunk-0x1000";
const IMAGE = [...made(RUN).args, "--engine", "fuse"];
const skip = skipFuse || (addon() === undefined ? "reading xattrs needs the native addon" : false);

const expectedRows = () => recordedTimes(readJsonLines("golden", "made", RUN, "nydusd.jsonl"));

/** The one file of the cache whose name ends so. */
function cacheFile(folder: MountFolder, ending: string): string {
  const name = readdirSync(folder.cache).find((found) => found.endsWith(ending));
  assert.ok(name !== undefined, ending);
  return join(folder.cache, name);
}

/** Chunks that the chunk map on the disk claims. */
function durableChunks(folder: MountFolder): number {
  // Behind the header of one page there is a bit for each chunk.
  const bits = readFileSync(cacheFile(folder, ".chunk_map")).subarray(4096);
  return bits.reduce((sum, byte) => sum + byte.toString(2).replaceAll("0", "").length, 0);
}

describe("nydus-mount", { skip, concurrency: 2 }, () => {
  it("leaves a mountpoint without a server when it is killed, which --unmount takes away", async () => {
    await using folder = new MountFolder();
    const mount = await folder.mount(IMAGE);
    await mount.stop("SIGKILL");
    const { stderr } = await shell(`ls ${folder.mountpoint}`);
    assert.match(stderr, /Transport endpoint is not connected/);
    const ended = await runCommand("nydus-mount", ["--unmount", folder.mountpoint]);
    assert.deepEqual(ended, { status: 0, stdout: "", stderr: "" });
    assert.equal(await folder.mountRow(), "");
  });

  it("reads everything right over a cache whose filling was cut off by SIGKILL, again and again", async () => {
    await using folder = new MountFolder();
    const durable: number[] = [];
    for (const part of ["sizes", "names", "."]) {
      const mount = await folder.mount(IMAGE);
      // Slowly, file by file: the first bits reach the disk after a second.
      const reading = shell(`cd ${folder.mountpoint}/${part} && find . -type f -exec cat {} \\; | wc -c`);
      await delay(1200);
      await mount.stop("SIGKILL");
      await reading;
      durable.push(durableChunks(folder));
      await shell(`umount -l ${folder.mountpoint}`);
    }
    assert.ok((durable.at(-1) ?? 0) > 0, `durable chunks: ${durable.join(", ")}`);
    const mount = await folder.mount(IMAGE);
    assert.deepEqual(comparable(await listMounted(folder.mountpoint)), expectedRows());
    const { status, stderr } = await mount.stop();
    assert.deepEqual({ status, stderr }, { status: 0, stderr: `${await mount.mounted}\n` });
  });

  it("never serves bytes of the cache that were altered while it was away, nor gives them to the kernel", async () => {
    await using folder = new MountFolder();
    for (const args of [IMAGE, IMAGE, made(RUN).args]) {
      const mount = await folder.mount(args);
      // Never as a device of the kernel's own.
      assert.match(await mount.mounted, /, engine (?:fuse: |erofs: 0 of 1 blobs)/);
      assert.deepEqual(comparable(await listMounted(folder.mountpoint)), expectedRows());
      assert.equal((await mount.stop()).status, 0);
      // Every chunk: their bits are all set now.
      const bytes = readFileSync(cacheFile(folder, ".blob.data"));
      for (let at = 0; at < bytes.length; at += 4096) bytes[at] = (bytes[at] ?? 0) ^ 1;
      writeFileSync(cacheFile(folder, ".blob.data"), bytes);
    }
  });

  it("reads what is cached when the registry is gone, fails the rest with EIO, and lives on", {
    skip: NO_DOCKER_REGISTRY,
  }, async () => {
    await using folder = new MountFolder();
    const registry = await DockerRegistry.start();
    try {
      const image = `docker://${registry.host}/golden:nydus`;
      const source = `oci:${fixturePath("golden", "nydusify", "source")}:v1`;
      assert.equal((await runCommand("nydus-convert", [source, image])).status, 0);
      const mount = await folder.mount([image, "--engine", "fuse"]);
      const cached = `${folder.mountpoint}/attr`;
      const before = await shell(`sha256sum ${cached}`);
      assert.equal(before.status, 0);
      await registry[Symbol.asyncDispose]();
      await shell("echo 3 > /proc/sys/vm/drop_caches");
      const start = performance.now();
      // One READ: past the page cache there is no readahead that the kernel would follow up page by page.
      const missing = await shell(`dd if=${folder.mountpoint}/gonedir/back bs=4096 count=1 iflag=direct`);
      assert.match(missing.stderr, /Input\/output error/);
      assert.ok(performance.now() - start < MOUNT_RETRY.deadlineMs + 2000);
      assert.deepEqual(await shell(`sha256sum ${cached}`), before);
      const { status, stderr } = await mount.stop();
      assert.equal(status, 0);
      assert.match(stderr, /^read failed: [^\n]+ \[ERR_SOURCE_UNAVAILABLE\]$/m);
    } finally {
      await registry[Symbol.asyncDispose]();
    }
  });
});
