import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { openLayoutSource } from "#src/layout/layout-source.js";
import { LayoutTarget } from "#src/layout/layout-target.js";
import { addon } from "#src/native/addon.js";
import { type Row, rowsOfDirectory, rowsOfImage, unpackWithUmoci } from "../support/compare-trees.ts";
import { convert } from "../support/converted-image.ts";
import { file, HAND_CASES, hardLink, longName, tar } from "../support/corpus-by-hand.ts";
import { TOOL_CASES } from "../support/corpus-tools.ts";
import { findProgram } from "../support/docker-registry.ts";
import { plainLayer, writeSourceImage } from "../support/source-image.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

/**
 * The time of a directory that no entry names, which unpackers give the time of their run and an image none; and of the
 * root, into which umoci writes after it has set its time.
 */
function recordedTime(row: Row, start: bigint, end: bigint): Row {
  const time = BigInt(String(row["mtimeNs"]));
  if (row.path === ".") return { ...row, mtimeNs: "of the root" };
  return time >= start && time <= end ? { ...row, mtimeNs: "0" } : row;
}

function now(): bigint {
  return BigInt(Date.now()) * 1_000_000n;
}

const missing = ["umoci", "tar", "bsdtar", "setfattr", "skopeo", "zstd"].find((name) => !findProgram(name));
const skip =
  (process.geteuid?.() !== 0 && "only root can unpack owners and devices") ||
  (addon() === undefined && "reading xattrs needs the native addon") ||
  (missing !== undefined && `${missing} is not installed`);

describe("a converted image is what an independent tool unpacks", { skip, concurrency: 2 }, () => {
  for (const { name, layers, reference, unpack, adjust = (row: Row) => row } of [
    ...TOOL_CASES,
    ...HAND_CASES,
  ]) {
    it(name, async () => {
      await using directory = await temporaryDirectory();
      const stored = layers(directory.path).map((layer) => ("stored" in layer ? layer : plainLayer(layer)));
      const tars = stored.map((layer) => Buffer.from(layer.tar));
      const source = join(directory.path, "source");
      await writeSourceImage(new LayoutTarget(source, { tag: "v1" }), { layers: stored });
      const target = new LayoutTarget(join(directory.path, "out"), { tag: "nydus" });
      await convert(openLayoutSource(source, "v1"), target, directory.path, { jobs: 2 });

      const unpacked = join(directory.path, "unpacked");
      // The kernel's clock for files lags behind by a tick.
      const start = now() - 1_000_000_000n;
      if (unpack === undefined) {
        const plain = join(directory.path, "reference");
        const expected = (reference?.(tars) ?? tars).map(plainLayer);
        await writeSourceImage(new LayoutTarget(plain, { tag: "v1" }), { layers: expected });
        unpackWithUmoci(`${plain}:v1`, unpacked);
      } else {
        mkdirSync(unpacked);
        for (const tar of tars) unpack(tar, unpacked);
      }
      const expected = (await rowsOfDirectory(unpacked)).map((row) =>
        adjust(recordedTime(row, start, now())),
      );
      const rows = (await rowsOfImage(`oci:${directory.path}/out`)).map((row) =>
        recordedTime(row, start, now()),
      );
      assert.ok(rows.length > 1);
      assert.deepEqual(rows, expected);
    });
  }

  it("a path of 4096 bytes, which no absolute name on a disk can reach", async () => {
    await using directory = await temporaryDirectory();
    const path = Array.from({ length: 17 }, (_, level) => String.fromCharCode(97 + level).repeat(240)).join(
      "/",
    );
    assert.equal(path.length, 4096);
    const layers = [plainLayer(tar(longName(`./${path}`), file("x", "at the end")))];
    await writeSourceImage(new LayoutTarget(join(directory.path, "source"), { tag: "v1" }), { layers });
    const target = new LayoutTarget(join(directory.path, "out"), { tag: "nydus" });
    await convert(openLayoutSource(join(directory.path, "source"), "v1"), target, directory.path);
    const rows = await rowsOfImage(`oci:${directory.path}/out`);
    assert.deepEqual(
      rows.map((row) => row.path),
      [".", ...path.split("/").map((_, depth, names) => names.slice(0, depth + 1).join("/"))],
    );
    assert.equal(rows.at(-1)?.["size"], "at the end".length);
  });

  it("refuses a hard link before its target, as umoci does", async () => {
    await using directory = await temporaryDirectory();
    const source = join(directory.path, "source");
    const layers = [plainLayer(tar(hardLink("link", "target"), file("target")))];
    await writeSourceImage(new LayoutTarget(source, { tag: "v1" }), { layers });
    const target = new LayoutTarget(join(directory.path, "out"), { tag: "nydus" });
    await assert.rejects(convert(openLayoutSource(source, "v1"), target, directory.path), {
      code: "ERR_LAYER_INVALID",
    });
    assert.throws(() => unpackWithUmoci(`${source}:v1`, join(directory.path, "unpacked")));
  });
});
