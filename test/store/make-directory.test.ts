import assert from "node:assert/strict";
import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { makeDirectory } from "#src/store/make-directory.js";

let root = "";

before(async () => {
  root = await mkdtemp(join(tmpdir(), "nydus-toolkit-"));
});

after(() => rm(root, { recursive: true }));

describe("makeDirectory()", () => {
  it("makes a directory and those above it, with the mode, also when several ask at once", async () => {
    const path = join(root, "a", "b", "c");
    await Promise.all([makeDirectory(path, 0o700), makeDirectory(path, 0o700), makeDirectory(path, 0o700)]);
    for (const made of [path, join(root, "a")]) assert.equal((await stat(made)).mode & 0o777, 0o700);
    await makeDirectory(path);
  });

  it("throws EEXIST for a file, and ENOTDIR for what lies below one", async () => {
    const path = join(root, "file");
    await writeFile(path, "");
    await assert.rejects(makeDirectory(path), { code: "EEXIST" });
    await assert.rejects(makeDirectory(join(path, "below")), { code: "ENOTDIR" });
  });

  it("fails where nothing can be made, in the place of trying for ever", async () => {
    await assert.rejects(makeDirectory("/proc/nydus-toolkit/below"), { code: /^(ENOENT|EACCES|EPERM)$/ });
  });
});
