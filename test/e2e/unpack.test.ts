import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { chmod, cp, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { addon } from "#src/native/addon.js";
import { fixturePath, ROOT } from "../support/fixtures.ts";
import { made } from "../support/golden-images.ts";
import { runCommand } from "../support/run-command.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const skip =
  process.geteuid?.() !== 0
    ? "only root can restore owners and devices"
    : addon() === undefined
      ? "the native addon is not built"
      : false;

const AS_NOBODY = ["--reuid=65534", "--regid=65534", "--clear-groups"];
const skipNobody =
  skip === false && spawnSync("setpriv", ["--version"]).status !== 0 ? "setpriv is not installed" : skip;

const IMAGE = made("v6-zstd-blake3");

type Rows = readonly Readonly<Record<string, unknown>>[];

const convert = (...args: readonly string[]) => runCommand("nydus-convert", args);

function parseRows(text: string): Rows {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** The tree of the image as `ls` prints it, with what a tar or a disk makes of it. */
async function rowsOfImage(
  isKept: (row: Readonly<Record<string, unknown>>) => boolean = () => true,
): Promise<Rows> {
  const { stdout } = await convert("ls", ...IMAGE.args, "--json", "--digest");
  // nydus stores hard-linked symlinks apart and keeps their count; on disk they are two.
  return parseRows(stdout)
    .filter(isKept)
    .map((row) => {
      const isApart = row["type"] === "symlink" && row["nlink"] !== 1;
      return isApart ? { ...row, nlink: 1, link: undefined } : row;
    });
}

/** The same of a directory on disk, by lstat and getxattr. */
function rowsOfDirectory(path: string): Rows {
  const program = join(ROOT, ".build", "test", "support", "list-tree.js");
  const { stdout } = spawnSync(process.execPath, [program, path], { encoding: "utf8", maxBuffer: 2 ** 26 });
  return parseRows(stdout).map(({ ino: _, bytes: __, blocks: ___, ...row }) => row);
}

function sorted(rows: Rows): Rows {
  return rows
    .map((row) => JSON.parse(JSON.stringify(row)) as Record<string, unknown>)
    .map((row) => Object.fromEntries(Object.entries(row).sort(([left], [right]) => (left < right ? -1 : 1))))
    .sort((left, right) => (String(left["path"]) < String(right["path"]) ? -1 : 1));
}

/** Unpacks the image as a tar to a file. */
async function unpackToTar(path: string): Promise<{ status: number | null; stderr: string }> {
  const cli = join(ROOT, "dist", "cli", "nydus-convert.js");
  const child = spawn(process.execPath, [cli, "unpack", ...IMAGE.args, "-"], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const parts: Buffer[] = [];
  let stderr = "";
  child.stdout.on("data", (part: Buffer) => parts.push(part));
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  const status = await new Promise<number | null>((resolve) => child.on("close", resolve));
  await writeFile(path, Buffer.concat(parts));
  return { status, stderr };
}

describe("nydus-convert unpack", () => {
  it("writes to a directory what ls shows, attributes and all", { skip }, async () => {
    await using directory = await temporaryDirectory();
    const out = join(directory.path, "out");
    const { status, stderr } = await convert("unpack", ...IMAGE.args, out);
    assert.deepEqual({ status, stderr }, { status: 0, stderr: "" });
    assert.deepEqual(sorted(rowsOfDirectory(out)), sorted(await rowsOfImage()));
    assert.deepEqual(await readdir(directory.path), ["out"]);
  });

  it("fills a directory that is empty", async () => {
    await using directory = await temporaryDirectory();
    const out = join(directory.path, "out");
    await mkdir(out);
    await convert("unpack", ...made("layer1").args, out);
    assert.ok((await readdir(out)).length > 0);
  });

  it("refuses a directory that is not empty and leaves it as it is", async () => {
    await using directory = await temporaryDirectory();
    await writeFile(join(directory.path, "mine"), "");
    const { status, stderr } = await convert("unpack", ...IMAGE.args, directory.path);
    assert.deepEqual([status, stderr.includes("[ERR_TARGET_EXISTS]")], [2, true]);
    assert.deepEqual(await readdir(directory.path), ["mine"]);
  });

  it("leaves nothing behind when a chunk is corrupt", async () => {
    await using directory = await temporaryDirectory();
    const folder = join(directory.path, "image");
    await cp(fixturePath("golden", "made", "layer1"), folder, { recursive: true });
    const blobId = made("layer1").args.at(-1) ?? "";
    const bytes = await readFile(join(folder, blobId));
    bytes[1000] = (bytes[1000] ?? 0) ^ 1;
    await writeFile(join(folder, blobId), bytes);
    const image = ["--bootstrap", join(folder, "bootstrap"), "--blob-dir", folder, "--blob-id", blobId];
    const { status, stderr } = await convert("unpack", ...image, join(directory.path, "out"));
    assert.deepEqual([status, stderr.includes("[ERR_CHUNK_CORRUPT]")], [4, true]);
    assert.deepEqual(await readdir(directory.path), ["image"]);
  });

  it("writes a tar that GNU tar extracts to the same tree, but for sockets", { skip }, async () => {
    await using directory = await temporaryDirectory();
    const tar = join(directory.path, "image.tar");
    const { status, stderr } = await unpackToTar(tar);
    assert.deepEqual(
      { status, stderr },
      { status: 3, stderr: "nydus-convert: not restored: socket 1 (first: special/sock)\n" },
    );
    const out = join(directory.path, "out");
    await mkdir(out);
    const flags = ["--xattrs", "--xattrs-include=*", "--warning=no-timestamp", "-xpf", tar, "-C", out];
    const extracted = spawnSync("tar", flags, { encoding: "utf8" });
    assert.deepEqual([extracted.status, extracted.stderr], [0, ""]);
    const expected = await rowsOfImage(({ type }) => type !== "socket");
    assert.deepEqual(sorted(rowsOfDirectory(out)), sorted(expected));
  });

  it("writes the same tar twice", async () => {
    await using directory = await temporaryDirectory();
    const [first, second] = [join(directory.path, "1.tar"), join(directory.path, "2.tar")];
    await unpackToTar(first);
    await unpackToTar(second);
    assert.ok((await readFile(first)).equals(await readFile(second)));
  });

  it("restores what it may without root, and gives nobody its own rights", { skip: skipNobody }, async () => {
    await using directory = await temporaryDirectory();
    await chmod(directory.path, 0o777);
    const out = join(directory.path, "out");
    const cli = join(ROOT, "dist", "cli", "nydus-convert.js");
    const { status, stderr } = spawnSync(
      "setpriv",
      [...AS_NOBODY, process.execPath, cli, "unpack", ...IMAGE.args, out],
      { encoding: "utf8" },
    );
    assert.equal(status, 3);
    assert.match(stderr, /^nydus-convert: not restored: .*owner \d+/);
    const rows = rowsOfDirectory(out);
    const expected = new Map((await rowsOfImage()).map((row) => [row["path"], row]));
    const setIds = [...expected.values()].filter(
      (row) => (Number.parseInt(String(row["mode"]), 8) & 0o6000) !== 0,
    );
    assert.ok(setIds.length > 0);
    for (const row of rows) {
      const wanted = expected.get(row["path"]);
      assert.equal(row["sha256"], wanted?.["sha256"]);
      assert.equal(Number.parseInt(String(row["mode"]), 8) & 0o6000, 0, String(row["path"]));
    }
  });

  it("refuses an image whose chunks it cannot read before it writes anything", async () => {
    await using directory = await temporaryDirectory();
    const { status } = await convert("unpack", ...made("v6-batch").args, join(directory.path, "out"));
    assert.deepEqual([status, await readdir(directory.path)], [2, []]);
  });
});
