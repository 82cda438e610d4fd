import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmod, mkdir, readdir, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fixturePath, ROOT } from "../support/fixtures.ts";
import { runCommand } from "../support/run-command.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const SOURCE = `oci:${fixturePath("golden", "nydusify", "source")}:v1`;

/** Runs a statement before the program, to make something fail that a machine in order does not. */
function breaking(statement: string): { readonly environment: Readonly<Record<string, string>> } {
  return {
    environment: { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(statement)}` },
  };
}

describe("the exit status of nydus-convert", () => {
  it("is 0 when all is done", async () => {
    await using directory = await temporaryDirectory();
    assert.equal((await runCommand("nydus-convert", [SOURCE, `oci:${directory.path}/out`])).status, 0);
  });

  it("is 1 for a bug, with a stack when asked for", async () => {
    await using directory = await temporaryDirectory();
    const args = [SOURCE, `oci:${directory.path}/out`, "--work-dir", directory.path];
    const bug = breaking('process.resourceUsage = () => { throw new TypeError("a bug"); };');
    const { status, stderr } = await runCommand("nydus-convert", [...args, "--verbose"], bug);
    assert.equal(status, 1);
    assert.match(stderr, /^nydus-convert: a bug \[ERR_UNCLASSIFIED\]\nTypeError: a bug\n {4}at /);
    assert.deepEqual(await readdir(directory.path), ["out"]);
  });

  it("is 1 when a thread dies", async () => {
    await using directory = await temporaryDirectory();
    const args = [SOURCE, `oci:${directory.path}/out`, "--work-dir", directory.path];
    const dying = breaking(
      'import { isMainThread } from "node:worker_threads"; if (!isMainThread) throw new Error("no memory");',
    );
    const { status, stderr } = await runCommand("nydus-convert", args, dying);
    assert.equal(status, 1);
    assert.match(stderr, /\[ERR_WORKER_FAILED\]\n$/);
    assert.deepEqual(await readdir(directory.path), []);
  });

  it("is 2 for wrong usage", async () => {
    assert.equal((await runCommand("nydus-convert", [SOURCE])).status, 2);
  });

  it("is 3 when some items failed", async () => {
    await using directory = await temporaryDirectory();
    const [rootfs, image] = [join(directory.path, "rootfs"), `oci:${directory.path}/image`];
    await mkdir(rootfs);
    const socket = createServer().listen(join(rootfs, "socket"));
    await new Promise((resolve) => socket.once("listening", resolve));
    try {
      assert.equal((await runCommand("nydus-convert", [`dir:${rootfs}`, image])).status, 0);
    } finally {
      socket.close();
    }
    // A tar has no sockets.
    assert.equal(
      (await runCommand("nydus-convert", ["unpack", image, join(directory.path, "x.tar")])).status,
      0,
    );
    assert.equal((await runCommand("nydus-convert", ["unpack", image, "-"])).status, 3);
  });

  it("is 4 when something is not what its digest says", async () => {
    await using directory = await temporaryDirectory();
    await runCommand("nydus-convert", [SOURCE, `oci:${directory.path}/out:x`]);
    const blobs = join(directory.path, "out", "blobs", "sha256");
    for (const name of await readdir(blobs)) await writeFile(join(blobs, name), "{}");
    assert.equal((await runCommand("nydus-convert", ["check", `oci:${directory.path}/out:x`])).status, 4);
  });

  it("is 5 when something is not there", async () => {
    const missing = ["oci:/nonexistent/image", "oci:/nonexistent/out"];
    assert.equal((await runCommand("nydus-convert", missing)).status, 5);
  });

  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    it(`is 130 after ${signal}`, async () => {
      await using directory = await temporaryDirectory();
      const args = [SOURCE, `oci:${directory.path}/out`, "--work-dir", directory.path, "--json"];
      let isSent = false;
      const { status, stderr } = await runCommand("nydus-convert", args, {
        onOutput: (_text, kill) => {
          if (!isSent) kill(signal);
          isSent = true;
        },
      });
      assert.equal(status, 130);
      const { message: _message, ...error } = JSON.parse(stderr.trimEnd().split("\n").at(-1) ?? "");
      assert.deepEqual(error, { type: "error", code: "ERR_ABORTED", exit: 130 });
      assert.deepEqual(await readdir(directory.path), []);
    });
  }
});

const NO_TMPFS = process.getuid?.() === 0 ? false : "only root can mount a tmpfs";

/** A file system of 1 MiB, gone with the scope. */
async function smallDisk(): Promise<AsyncDisposable & { readonly path: string }> {
  const directory = await temporaryDirectory();
  const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", directory.path]);
  assert.equal(mounted.status, 0, mounted.stderr.toString());
  return {
    path: directory.path,
    async [Symbol.asyncDispose]() {
      spawnSync("umount", [directory.path]);
      await directory[Symbol.asyncDispose]();
    },
  };
}

describe("nydus-convert on a full disk", { skip: NO_TMPFS }, () => {
  /** A directory whose blob has 3 MiB. */
  async function largeRootfs(path: string): Promise<string> {
    await mkdir(path);
    await writeFile(join(path, "file"), randomBytes(3 * 2 ** 20));
    return `dir:${path}`;
  }
  const flags = ["--compressor", "none", "--chunk-size", "64KiB"];

  it("ends with 5 when the work directory is full, and leaves nothing", async () => {
    await using directory = await temporaryDirectory();
    await using disk = await smallDisk();
    const source = await largeRootfs(join(directory.path, "rootfs"));
    const target = `oci:${directory.path}/out`;
    const { status, stderr } = await runCommand("nydus-convert", [
      source,
      target,
      "--work-dir",
      disk.path,
      ...flags,
    ]);
    assert.equal(status, 5);
    assert.match(stderr, /^nydus-convert: [^\n]*ENOSPC[^\n]* \[ERR_TARGET_IO\]\n$/);
    assert.deepEqual(await readdir(disk.path), []);
    assert.deepEqual(await readdir(directory.path), ["rootfs"]);
  });

  for (const target of ["oci", "oci-archive"]) {
    it(`ends with 5 when the disk of an ${target}: target is full, and leaves no part of a blob`, async () => {
      await using directory = await temporaryDirectory();
      await using disk = await smallDisk();
      const source = await largeRootfs(join(directory.path, "rootfs"));
      const place = `${target}:${disk.path}/out:x`;
      const { status, stderr } = await runCommand("nydus-convert", [
        source,
        place,
        "--work-dir",
        directory.path,
        ...flags,
      ]);
      assert.equal(status, 5);
      assert.match(stderr, /^nydus-convert: [^\n]*ENOSPC[^\n]* \[ERR_TARGET_IO\]\n$/);
      const left = await readdir(disk.path, { recursive: true });
      const folders = target === "oci" ? ["out", "out/blobs", "out/blobs/sha256", "out/oci-layout"] : [];
      assert.deepEqual(
        left.sort().filter((path) => !/sha256\/./.test(path)),
        folders,
      );
      assert.deepEqual(await readdir(directory.path), ["rootfs"]);
    });
  }
});

describe("nydus-convert without the right to write", () => {
  const NOBODY = ["--reuid=65534", "--regid=65534", "--clear-groups"];
  const skip = process.getuid?.() === 0 ? false : "only root can become another user";

  it("ends with 5 and leaves nothing", { skip }, async () => {
    await using directory = await temporaryDirectory();
    await using work = await temporaryDirectory();
    await chmod(work.path, 0o777);
    const program = join(ROOT, "dist", "cli", "nydus-convert.js");
    for (const [target, parent] of [
      [`oci:${directory.path}/out`, work.path],
      [`oci-archive:${directory.path}/out.tar`, work.path],
      [`oci:${work.path}/out`, directory.path],
    ]) {
      const args = [...NOBODY, process.execPath, program, SOURCE, target ?? "", "--work-dir", parent ?? ""];
      const { status, stderr } = spawnSync("setpriv", args, { encoding: "utf8" });
      assert.deepEqual([status, /EACCES[^\n]*\[ERR_TARGET_IO\]\n$/.test(stderr)], [5, true], stderr);
      assert.deepEqual([...(await readdir(directory.path)), ...(await readdir(work.path))], []);
    }
  });
});
