import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cp, symlink } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { addon } from "#src/native/addon.js";
import { fixturePath, ROOT } from "../support/fixtures.ts";
import { runCommand } from "../support/run-command.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const skip = addon()?.isal() === undefined ? "needs the native addon and libisal.so.2" : false;
/** What `npm pack` reads, and the script that it runs before. */
const PARTS = [
  "dist",
  "native",
  "package.json",
  "README.md",
  "CHANGELOG.md",
  "LICENSE",
  "scripts/copy-prebuilt.mjs",
];

describe("the package", { skip }, () => {
  it("carries an addon that works where nothing can be compiled", async () => {
    await using directory = await temporaryDirectory();
    const tree = join(directory.path, "tree");
    for (const part of PARTS) await cp(join(ROOT, part), join(tree, part), { recursive: true });
    execFileSync(process.execPath, [join(tree, "scripts/copy-prebuilt.mjs")]);
    // The rest of `prepack` builds what is built here.
    const pack = ["pack", "--ignore-scripts", "--silent", "--pack-destination", directory.path];
    const tarball = execFileSync("npm", pack, { cwd: tree, encoding: "utf8" }).trim();
    execFileSync("tar", ["-xzf", tarball], { cwd: directory.path });
    const root = join(directory.path, "package");
    await symlink(join(ROOT, "node_modules"), join(root, "node_modules"));

    const options = { root, environment: { PATH: "/nonexistent" } };
    const { stdout } = await runCommand("nydus-convert", ["--version", "--verbose", "--json"], options);
    const versions = JSON.parse(stdout);
    const place = join("native", "prebuilds", `${process.platform}-${process.arch}`, "addon.node");
    assert.equal(versions.addon, join(root, place));
    assert.equal(versions.codecs.inflate.library, "ISA-L");
    const source = `oci:${fixturePath("golden", "nydusify", "source")}:v1`;
    const args = [source, `oci:${directory.path}/out:x`];
    assert.equal((await runCommand("nydus-convert", args, options)).status, 0);
  });
});
