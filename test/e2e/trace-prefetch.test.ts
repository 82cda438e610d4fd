import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { MountFolder } from "../support/mount-folder.ts";
import { shell, skipFuse } from "../support/mounted-image.ts";
import { runCommand } from "../support/run-command.ts";

const MIB = 2 ** 20;
const FILES = 24;
/** What a program would read, in its order: far enough from each other that no request brings two. */
const READ = ["f20", "f04", "f12"];

interface Stats {
  readonly waitingReads: number;
  readonly fetchedBytes: number;
  readonly cachedReads: number;
}

/** Mounts an image over an empty cache, reads what a program would, and gives the stats. */
async function run(
  image: string,
  flags: readonly string[],
  fetchedBefore: number,
  tree: string,
): Promise<Stats> {
  await using folder = new MountFolder();
  const statsFile = join(folder.path, "stats");
  const mount = await folder.mount([image, "--engine", "fuse", "--stats", statsFile, ...flags]);
  for (let size = 0, tries = 0; size < fetchedBefore; await delay(20)) {
    assert.ok(tries++ < 500, `${size} of ${fetchedBefore} bytes were prefetched`);
    size = Number((await shell(`cat ${folder.cache}/*.data 2>/dev/null | tr -d '\\0' | wc -c`)).stdout);
  }
  // For the last percent.
  await delay(200);
  for (const name of READ) {
    const compared = await shell(`cmp ${folder.mountpoint}/${name} ${join(tree, name)}`);
    assert.deepEqual(compared, { status: 0, stdout: "", stderr: "" });
  }
  assert.equal((await mount.stop()).status, 0);
  return JSON.parse(readFileSync(statsFile, "utf8")) as Stats;
}

describe("nydus-mount --trace", { skip: skipFuse }, () => {
  it("names what was read, which convert --prefetch-file makes hints of, that spare readers their waits", async () => {
    await using folder = new MountFolder();
    const tree = join(folder.path, "tree");
    mkdirSync(tree);
    for (let at = 0; at < FILES; at++) {
      writeFileSync(join(tree, `f${String(at).padStart(2, "0")}`), randomBytes(MIB + 4096));
    }
    const convert = async (name: string, flags: readonly string[]): Promise<string> => {
      const target = `oci:${join(folder.path, name)}:v1`;
      const { status, stderr } = await runCommand("nydus-convert", [`dir:${tree}`, target, ...flags]);
      assert.equal(status, 0, stderr);
      return target;
    };
    const traceFile = join(folder.path, "trace");
    const plain = await run(await convert("plain", []), ["--trace", traceFile], 0, tree);
    assert.ok(plain.waitingReads >= READ.length, `${plain.waitingReads} reads waited`);
    const rows = readFileSync(traceFile, "utf8").trimEnd().split("\n");
    assert.deepEqual(
      rows.map((row) => JSON.parse(row)),
      READ.map((name) => ({ path: `/${name}`, offset: 0, size: MIB + 4096 })),
    );

    const hinted = await convert("hinted", ["--prefetch-file", traceFile]);
    // Less the zeros among random bytes.
    const wanted = Math.floor(READ.length * MIB * 0.99);
    const helped = await run(hinted, ["--prefetch", "hints"], wanted, tree);
    // The first read of a blob waits until the workers have its cache file.
    assert.ok(helped.waitingReads <= 1, `${helped.waitingReads} reads waited`);
    assert.ok(helped.fetchedBytes < plain.fetchedBytes + MIB);

    const listed = await run(await convert("listed", []), ["--prefetch-file", traceFile], wanted, tree);
    assert.ok(listed.waitingReads <= 1, `${listed.waitingReads} reads waited`);
  });

  it("takes no more of a link for a prefetch than its rate", async () => {
    await using folder = new MountFolder();
    const tree = join(folder.path, "tree");
    mkdirSync(tree);
    writeFileSync(join(tree, "large"), randomBytes(8 * MIB));
    const target = `oci:${join(folder.path, "layout")}:v1`;
    assert.equal((await runCommand("nydus-convert", [`dir:${tree}`, target])).status, 0);
    const statsFile = join(folder.path, "stats");
    const flags = ["--engine", "fuse", "--stats", statsFile, "--prefetch", "all", "--prefetch-rate", "1MiB"];
    const mount = await folder.mount([target, ...flags]);
    await delay(1500);
    await mount.stop();
    const { fetchedBytes } = JSON.parse(readFileSync(statsFile, "utf8")) as Stats;
    assert.ok(fetchedBytes >= MIB && fetchedBytes <= 5 * MIB, `${fetchedBytes} bytes`);
  });
});
