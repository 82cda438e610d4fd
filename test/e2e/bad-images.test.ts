import assert from "node:assert/strict";
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { compress } from "zstd-napi";
import type { ErrorCode } from "#src/base/errors.js";
import { OCI_LAYER_GZIP, OCI_LAYER_ZSTD } from "#src/format/oci/media-types.js";
import { openLayoutSource } from "#src/layout/layout-source.js";
import { LayoutTarget } from "#src/layout/layout-target.js";
import { convert } from "../support/converted-image.ts";
import { file, hardLink, longName, symlink, tar } from "../support/corpus-by-hand.ts";
import { sha256Of } from "../support/made-image.ts";
import { plainLayer, type SourceImage, writeSourceImage } from "../support/source-image.ts";
import { base256, paxHeader, TAR_END, tarHeader, tarMember } from "../support/tar-builder.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

/** A wrong image ends in this time, also on a busy machine. */
const TIMEOUT_MS = 60_000;

type Layer = SourceImage["layers"][number];
type Case = readonly [what: string, code: ErrorCode, layers: readonly (Buffer | Layer)[]];

function flipped(bytes: Uint8Array, offset: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[offset] = (copy[offset] ?? 0) ^ 0x40;
  return copy;
}

const good = tar(file("good"), file("large", "text ".repeat(5000)));
const gzip = gzipSync(good);
const zstd = compress(good);
const gzipped = (stored: Uint8Array): Layer => ({ stored, tar: good, mediaType: OCI_LAYER_GZIP });
const zstandard = (stored: Uint8Array): Layer => ({ stored, tar: good, mediaType: OCI_LAYER_ZSTD });
const headerOf = (name: string): number => good.indexOf(`${name}\0`);
const sparse = (size: string, map: string): Buffer =>
  paxHeader([
    ["GNU.sparse.size", size],
    ["GNU.sparse.map", map],
  ]);
const whiteout = (name: string): Buffer => file(`.wh.${name}`, "");

const CASES: readonly Case[] = [
  ["a tar that ends inside a header", "ERR_LAYER_INVALID", [good.subarray(0, headerOf("large") + 100)]],
  ["a tar that ends inside a file", "ERR_LAYER_INVALID", [good.subarray(0, headerOf("large") + 1000)]],
  ["a tar with a flipped header", "ERR_LAYER_INVALID", [flipped(good, headerOf("large"))]],
  ["no tar at all", "ERR_LAYER_INVALID", [Buffer.from(JSON.stringify({ not: "a tar" }).repeat(100))]],
  ["a truncated gzip stream", "ERR_LAYER_INVALID", [gzipped(gzip.subarray(0, gzip.length - 10))]],
  ["a flipped gzip stream", "ERR_LAYER_INVALID", [gzipped(flipped(gzip, gzip.length - 6))]],
  ["a truncated zstd stream", "ERR_LAYER_INVALID", [zstandard(zstd.subarray(0, zstd.length - 5))]],
  ["a flipped zstd stream", "ERR_LAYER_INVALID", [zstandard(flipped(zstd, 4))]],
  ["a lone zero block", "ERR_LAYER_INVALID", [tar(file("a"), Buffer.alloc(512), file("hidden"))]],
  ["a name that leaves the root", "ERR_LAYER_INVALID", [tar(file("../../etc/passwd"))]],
  ["a name that leaves the root on its way", "ERR_LAYER_INVALID", [tar(file("a/../../b/c"))]],
  ["a long name that leaves it", "ERR_LAYER_INVALID", [tar(longName("../x"), file("x"))]],
  ["a pax name that leaves it", "ERR_LAYER_INVALID", [tar(paxHeader([["path", "../x"]]), file("x"))]],
  ["a hard link that leaves it", "ERR_LAYER_INVALID", [tar(hardLink("a", "../../etc/passwd"))]],
  ["a hard link to the host's file", "ERR_LAYER_INVALID", [tar(hardLink("a", "/etc/passwd"))]],
  ["a hard link to a directory", "ERR_LAYER_INVALID", [tar(hardLink("a", "."))]],
  ["a hard link to itself", "ERR_LAYER_INVALID", [tar(hardLink("a", "a"))]],
  ["hard links in a circle", "ERR_LAYER_INVALID", [tar(hardLink("a", "b"), hardLink("b", "a"))]],
  [
    "a hard link to what a lower layer took away",
    "ERR_LAYER_INVALID",
    [tar(file("a")), tar(whiteout("a")), tar(hardLink("b", "a"))],
  ],
  [
    "a file through a symlink out of the root",
    "ERR_LAYER_INVALID",
    [tar(symlink("s", "/etc"), file("s/passwd"))],
  ],
  ["a file below a file", "ERR_LAYER_INVALID", [tar(file("f"), file("f/below"))]],
  ["a name of 256 bytes", "ERR_LAYER_INVALID", [tar(longName("n".repeat(256)), file("x"))]],
  ["a path of 4097 bytes", "ERR_LAYER_INVALID", [tar(longName(`${"a/".repeat(2048)}b`), file("x"))]],
  ["a whiteout of nothing", "ERR_LAYER_INVALID", [tar(whiteout(""))]],
  ["a whiteout of the root", "ERR_LAYER_INVALID", [tar(whiteout("."))]],
  ["a whiteout that leaves the root", "ERR_LAYER_INVALID", [tar(whiteout(".."))]],
  [
    "a file shorter than its header says",
    "ERR_LAYER_INVALID",
    [tar(tarHeader({ name: "f", size: 2 ** 30 }))],
  ],
  [
    "a file longer than its header says",
    "ERR_LAYER_INVALID",
    [tar(tarMember({ name: "f", size: 1 }, "x".repeat(1500)))],
  ],
  ["a negative size", "ERR_LAYER_INVALID", [tar(tarHeader({ name: "f", size: base256(-1n, 12) }))]],
  ["a pax size that lies", "ERR_LAYER_INVALID", [tar(paxHeader([["size", "99999"]]), file("f"))]],
  ["a file of 2 TiB", "ERR_LIMIT_EXCEEDED", [tar(tarHeader({ name: "f", size: base256(2n ** 41n, 12) }))]],
  [
    "a sparse file with runs over each other",
    "ERR_LAYER_INVALID",
    [tar(sparse("9", "0,3,2,3"), file("f", "abcdef"))],
  ],
  [
    "a sparse file with runs behind its end",
    "ERR_LAYER_INVALID",
    [tar(sparse("9", "8,3"), file("f", "abc"))],
  ],
  [
    "a sparse file with more than is stored",
    "ERR_LAYER_INVALID",
    [tar(sparse("9", "0,9"), file("f", "abc"))],
  ],
  [
    "a sparse file of 65 GiB in 2 KiB",
    "ERR_LIMIT_EXCEEDED",
    [tar(sparse(String(65 * 2 ** 30), "0,3"), file("f", "abc"))],
  ],
  [
    "sparse files that are too much together",
    "ERR_LIMIT_EXCEEDED",
    [
      tar(
        ...Array.from({ length: 3 }, (_, n) => [sparse(String(2 ** 16), "0,3"), file(`f${n}`, "abc")]).flat(),
        sparse(String(2 ** 36), "0,3"),
        file("f", "abc"),
      ),
    ],
  ],
  ["a pax header of 1 GiB", "ERR_LIMIT_EXCEEDED", [tar(tarHeader({ name: "x", type: "x", size: 2 ** 30 }))]],
  ["a type that images do not have", "ERR_FEATURE_UNSUPPORTED", [tar(tarMember({ name: "m", type: "M" }))]],
  [
    "a bad layer on top of many good ones",
    "ERR_LAYER_INVALID",
    [...Array(20).fill(good), good.subarray(0, 700)],
  ],
];

async function writeImage(folder: string, image: SourceImage): Promise<string> {
  const source = join(folder, "source");
  await writeSourceImage(new LayoutTarget(source, { tag: "v1" }), image);
  return source;
}

describe("an image with", () => {
  for (const [what, code, layers] of CASES) {
    it(`${what} is refused (${code}), and nothing is left behind`, { timeout: TIMEOUT_MS }, async () => {
      await using directory = await temporaryDirectory();
      const stored = layers.map((layer) => ("stored" in layer ? layer : plainLayer(layer)));
      const source = await writeImage(directory.path, { layers: stored });
      const target = new LayoutTarget(join(directory.path, "out"), { tag: "nydus" });
      await assert.rejects(convert(openLayoutSource(source, "v1"), target, directory.path), { code });
      assert.deepEqual(await readdir(directory.path), ["source"]);
    });
  }

  it("a layer of 1 GiB of zeros in 1 MiB is read in bounded memory, and refused for its diff id", async () => {
    await using directory = await temporaryDirectory();
    const zeros = gzipSync(Buffer.alloc(2 ** 23));
    const head = gzipSync(tarHeader({ name: "bomb", size: 2 ** 30 }));
    const stored = Buffer.concat([head, ...Array<Buffer>(2 ** 7).fill(zeros), gzipSync(TAR_END)]);
    assert.ok(stored.length < 2 ** 20 + 2 ** 17);
    const source = await writeImage(directory.path, {
      layers: [{ stored, tar: good, mediaType: OCI_LAYER_GZIP }],
    });
    const before = process.memoryUsage().rss;
    let highest = before;
    const watch = setInterval(() => {
      highest = Math.max(highest, process.memoryUsage().rss);
    }, 20);
    const target = new LayoutTarget(join(directory.path, "out"), { tag: "nydus" });
    await assert.rejects(convert(openLayoutSource(source, "v1"), target, directory.path), {
      code: "ERR_DIGEST_MISMATCH",
    });
    clearInterval(watch);
    const grown = (highest - before) / 2 ** 20;
    assert.ok(grown < 400, `memory grew by ${grown} MiB`);
    assert.deepEqual(await readdir(directory.path), ["source"]);
  });

  it("a layer that is not there is refused (ERR_BLOB_NOT_FOUND)", async () => {
    await using directory = await temporaryDirectory();
    const source = await writeImage(directory.path, { layers: [plainLayer(good)] });
    await rm(join(source, "blobs", "sha256", sha256Of(good).slice("sha256:".length)));
    const target = new LayoutTarget(join(directory.path, "out"), { tag: "nydus" });
    await assert.rejects(convert(openLayoutSource(source, "v1"), target, directory.path), {
      code: "ERR_BLOB_NOT_FOUND",
    });
  });
});
