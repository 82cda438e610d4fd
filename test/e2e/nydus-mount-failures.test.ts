import assert from "node:assert/strict";
import { copyFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fixturePath } from "../support/fixtures.ts";
import { made } from "../support/golden-images.ts";
import { MountFolder } from "../support/mount-folder.ts";
import { shell, skipFuse } from "../support/mounted-image.ts";
import { runCommand } from "../support/run-command.ts";

const RUN = "v6-zstd-blake3";
const IMAGE = made(RUN).args;
const LAYOUT = fixturePath("golden", "nydusify", "native");
const BLOB = "e7337e6c84c5a1e4bbe34e31417ecb3c7d79658b4980963719c4d28b5f7d4431";
const MOUNTPOINT = "MOUNTPOINT";
const FILE = fixturePath("golden", "made", "tree.jsonl");

/** Arguments behind `nydus-mount`, and how it ends. MOUNTPOINT stands for an empty directory. */
const FAILURES: readonly (readonly [args: readonly string[], exit: number, code: string])[] = [
  [[], 2, "ERR_OPTION_INVALID"],
  [[`oci:${LAYOUT}:native`], 2, "ERR_OPTION_INVALID"],
  [[`oci:${LAYOUT}:native`, MOUNTPOINT, "more"], 2, "ERR_OPTION_INVALID"],
  [["--surprise", `oci:${LAYOUT}:native`, MOUNTPOINT], 2, "ERR_OPTION_INVALID"],
  [[...IMAGE, MOUNTPOINT, "--engine", "ext4"], 2, "ERR_OPTION_INVALID"],
  [[...IMAGE, MOUNTPOINT, "--prefetch", "some"], 2, "ERR_OPTION_INVALID"],
  [[...IMAGE, MOUNTPOINT, "--workers", "0"], 2, "ERR_OPTION_INVALID"],
  [[...IMAGE, MOUNTPOINT, "--workers", "two"], 2, "ERR_OPTION_INVALID"],
  [[...IMAGE, `oci:${LAYOUT}:native`, MOUNTPOINT], 2, "ERR_OPTION_INVALID"],
  [[`oci:${LAYOUT}:native`, MOUNTPOINT, "--blob-dir", "/"], 2, "ERR_OPTION_INVALID"],
  [[`oci:${LAYOUT}:native`, MOUNTPOINT, "--platform", "linux"], 2, "ERR_OPTION_INVALID"],
  [[`oci:${LAYOUT}:native`, MOUNTPOINT, "--username", "me"], 2, "ERR_OPTION_INVALID"],
  [[`oci:${LAYOUT}:native`, MOUNTPOINT, "--ca-file", "/nowhere"], 2, "ERR_OPTION_INVALID"],
  [[...IMAGE, MOUNTPOINT, "--blob-id", "x"], 2, "ERR_OPTION_INVALID"],
  [["dir:/", MOUNTPOINT], 2, "ERR_OPTION_INVALID"],
  [["--unmount", MOUNTPOINT, "more"], 2, "ERR_OPTION_INVALID"],
  [["--bootstrap", FILE, MOUNTPOINT], 4, "ERR_BOOTSTRAP_CORRUPT"],
  [["--bootstrap", "/dev/null", MOUNTPOINT], 4, "ERR_IMAGE_INVALID"],
  [[`oci:${fixturePath("golden", "nydusify", "source")}:v1`, MOUNTPOINT], 4, "ERR_IMAGE_INVALID"],
  [[`oci-archive:${FILE}`, MOUNTPOINT], 4, "ERR_ARCHIVE_CORRUPT"],
  [[`oci:${LAYOUT}:other`, MOUNTPOINT], 5, "ERR_IMAGE_NOT_FOUND"],
  [["oci:/nowhere", MOUNTPOINT], 5, "ERR_IMAGE_NOT_FOUND"],
  [["oci-archive:/nowhere", MOUNTPOINT], 5, "ERR_IMAGE_NOT_FOUND"],
  [["--bootstrap", "/nowhere", MOUNTPOINT], 5, "ERR_IMAGE_NOT_FOUND"],
  // Port 9 is "discard": nobody listens there.
  [["127.0.0.1:9/not/there:v1", MOUNTPOINT], 5, "ERR_SOURCE_UNAVAILABLE"],
  [[...IMAGE, "/nowhere"], 5, "ERR_PATH_NOT_FOUND"],
  [[...IMAGE, FILE], 5, "ERR_PATH_NOT_FOUND"],
  [["--unmount", MOUNTPOINT], 5, "ERR_PATH_NOT_FOUND"],
  [["--unmount", "/nowhere/at/all"], 5, "ERR_PATH_NOT_FOUND"],
];

describe("nydus-mount", { skip: skipFuse, concurrency: 2 }, () => {
  for (const [args, exit, code] of FAILURES) {
    const shown = args.map((arg) => arg.replace(fixturePath(), "…")).join(" ");
    it(`${shown} ends with ${exit}, one line, and ${code}`, async () => {
      await using folder = new MountFolder();
      const placed = args.map((arg) => (arg === MOUNTPOINT ? folder.mountpoint : arg));
      const { status, stdout, stderr } = await runCommand("nydus-mount", [
        ...placed,
        "--cache-dir",
        folder.cache,
      ]);
      assert.match(stderr, new RegExp(`^nydus-mount: [^\\n]+ \\[${code}\\]\\n$`));
      assert.deepEqual({ status, stdout }, { status: exit, stdout: "" });
      assert.equal(await folder.mountRow(), "");
    });
  }

  for (const size of [1, 1024, 4096, 100_000]) {
    it(`ends with 4 when the bootstrap is cut off at ${size} bytes`, async () => {
      await using folder = new MountFolder();
      const bootstrap = join(folder.path, "bootstrap");
      copyFileSync(fixturePath("golden", "made", RUN, "bootstrap"), bootstrap);
      truncateSync(bootstrap, size);
      const { status, stderr } = await folder.start(["--bootstrap", bootstrap]).ended;
      assert.match(stderr, /^nydus-mount: [^\n]+ \[ERR_BOOTSTRAP_CORRUPT\]\n$/);
      assert.equal(status, 4);
    });
  }

  it("mounts, and fails every read with EIO and a line, when a blob is cut off and its chunk table with it", async () => {
    await using folder = new MountFolder();
    copyFileSync(fixturePath("golden", "made", RUN, BLOB), join(folder.path, BLOB));
    truncateSync(join(folder.path, BLOB), 100_000);
    const bootstrap = fixturePath("golden", "made", RUN, "bootstrap");
    const mount = await folder.mount(["--bootstrap", bootstrap, "--blob-dir", folder.path]);
    const { stdout, stderr: seen } = await shell(`cat ${folder.mountpoint}/names/.a`);
    assert.equal(stdout, "");
    assert.match(seen, /: Input\/output error/);
    const { status, stderr } = await mount.stop();
    assert.match(stderr, /^read failed: [^\n]+ \[ERR_BLOB_CORRUPT\]$/m);
    assert.equal(status, 0);
  });

  it("fails reads of what a blob has lost with EIO and a line, and serves the rest", async () => {
    await using folder = new MountFolder();
    const blob = join(folder.path, BLOB);
    copyFileSync(fixturePath("golden", "made", RUN, BLOB), blob);
    const bootstrap = fixturePath("golden", "made", RUN, "bootstrap");
    const args = ["--bootstrap", bootstrap, "--blob-dir", folder.path, "--engine", "fuse"];
    // With the chunk table read, the bytes of a chunk are turned to zeroes.
    const mount = await folder.mount(args);
    await shell(`cat ${folder.mountpoint}/names/.a`);
    writeFileSync(blob, Buffer.alloc(100_000), { flag: "r+" });
    const { stdout } = await shell(
      `cd ${folder.mountpoint} && find . -type f -print0 | xargs -0 -n 1 sha256sum 2>&1`,
    );
    const { status, stderr } = await mount.stop();
    assert.match(stdout, /: Input\/output error/);
    assert.match(stdout, /^[0-9a-f]{64} {2}\.\/names\/\.a$/m);
    assert.match(stderr, /^read failed: [^\n]+ \[ERR_CHUNK_CORRUPT\]$/m);
    assert.equal(status, 0);
    assert.match(await folder.mountRow(), /^$/);
  });
});
