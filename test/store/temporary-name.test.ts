import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chown, mkdir, readdir, symlink, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { pathToFileURL } from "node:url";
import { removeAbandoned, temporaryName } from "#src/store/temporary-name.js";
import { ROOT } from "../support/fixtures.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const MODULE = pathToFileURL(join(ROOT, "dist", "store", "temporary-name.js")).href;
const PRINT_NAME = `import { temporaryName } from "${MODULE}"; console.log(temporaryName("tmp-"));`;

/** A name that a process made which has ended. */
function nameOfTheDead(): string {
  const { stdout } = spawnSync(process.execPath, ["--input-type=module", "--eval", PRINT_NAME]);
  return stdout.toString().trim();
}

describe("removeAbandoned()", () => {
  it("removes files and full folders of processes that are gone, and nothing else", async () => {
    await using directory = await temporaryDirectory();
    const at = (...names: string[]) => join(directory.path, ...names);
    const ours = temporaryName("tmp-");
    const [file, folder, other] = [nameOfTheDead(), nameOfTheDead(), nameOfTheDead().replace("tmp-", "tmq-")];
    await mkdir(at(folder, "deep", "down"), { recursive: true });
    await writeFile(at(folder, "deep", "down", "file"), "x");
    for (const name of [ours, file, other, "tmp-else"]) await writeFile(at(name), "x");
    await removeAbandoned(directory.path, "tmp-");
    assert.deepEqual((await readdir(directory.path)).sort(), [ours, other, "tmp-else"].sort());
  });

  it("leaves what a living process made, and removes it when that process is gone", async () => {
    await using directory = await temporaryDirectory();
    const wait = `${PRINT_NAME} setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ["--input-type=module", "--eval", wait], { stdio: "pipe" });
    const [name] = await once(child.stdout.setEncoding("utf8"), "data");
    await writeFile(join(directory.path, name.trim()), "x");
    await removeAbandoned(directory.path, "tmp-");
    assert.equal((await readdir(directory.path)).length, 1);
    child.kill("SIGKILL");
    await once(child, "exit");
    await removeAbandoned(directory.path, "tmp-");
    assert.deepEqual(await readdir(directory.path), []);
  });

  it("tells a process from another one that got its id later", async () => {
    await using directory = await temporaryDirectory();
    const [, place] = /^tmp-([0-9a-f]{8})-/.exec(temporaryName("tmp-")) ?? [];
    await writeFile(join(directory.path, `tmp-${place}-${process.pid}-1-${"0".repeat(16)}`), "x");
    await removeAbandoned(directory.path, "tmp-");
    assert.deepEqual(await readdir(directory.path), []);
  });

  it("goes by age where processes cannot be looked up: another machine, container or boot", async () => {
    await using directory = await temporaryDirectory();
    const name = (number: number) => `tmp-${"e".repeat(8)}-1-5-${String(number).padStart(16, "0")}`;
    const at = (...names: string[]) => join(directory.path, ...names);
    const old = new Date(Date.now() - 25 * 60 * 60_000);
    await writeFile(at(name(1)), "old");
    await utimes(at(name(1)), old, old);
    await writeFile(at(name(2)), "new");
    await mkdir(at(name(3)));
    await writeFile(at(name(3), "blob"), "still written to");
    await utimes(at(name(3)), old, old);
    await removeAbandoned(directory.path, "tmp-");
    assert.deepEqual((await readdir(directory.path)).sort(), [name(2), name(3)]);
  });

  it("does not follow a symlink, and takes a missing directory for a clean one", async () => {
    await using directory = await temporaryDirectory();
    await using precious = await temporaryDirectory();
    await writeFile(join(precious.path, "file"), "x");
    await symlink(precious.path, join(directory.path, nameOfTheDead()));
    await removeAbandoned(directory.path, "tmp-");
    assert.deepEqual(await readdir(precious.path), ["file"]);
    await removeAbandoned(join(directory.path, "missing"), "tmp-");
  });

  const needsRoot = process.getuid?.() === 0 ? false : "only root can make a file of another user";
  it("leaves what belongs to another user", { skip: needsRoot }, async () => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, nameOfTheDead());
    await writeFile(path, "x");
    await chown(path, 12345, 12345);
    await removeAbandoned(directory.path, "tmp-");
    assert.equal((await readdir(directory.path)).length, 1);
  });
});
