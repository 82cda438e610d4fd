import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { ConvertReport } from "#src/convert/convert-report.js";
import { listTree } from "#src/image/tree.js";
import { openLayoutSource } from "#src/layout/layout-source.js";
import { LayoutTarget } from "#src/layout/layout-target.js";
import { type Row, rowsOfDirectory, rowsOfImage, unpackWithUmoci } from "../support/compare-trees.ts";
import { convert, openConverted, readConverted } from "../support/converted-image.ts";
import { findProgram } from "../support/docker-registry.ts";
import { comparable, skipFuse } from "../support/mounted-image.ts";
import { readByAll } from "../support/read-by-all.ts";
import { runCommand } from "../support/run-command.ts";
import { plainLayer, writeSourceImage } from "../support/source-image.ts";
import { paxHeader, TAR_END, tarMember } from "../support/tar-builder.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const CHUNK = 4096;

/** Bytes of one chunk that no other letter has. */
function chunk(letter: string): Buffer {
  const digest = createHash("sha256").update(letter).digest();
  return Buffer.concat(Array.from({ length: CHUNK / digest.length }, () => digest));
}

/** Chunks named by letters; a dot is a chunk of zeros. */
function contentOf(letters: string): Buffer {
  return Buffer.concat([...letters].map((letter) => (letter === "." ? Buffer.alloc(CHUNK) : chunk(letter))));
}

/** A file of such chunks. */
function file(name: string, letters: string, mode = 0o644): Buffer {
  return tarMember({ name, mode }, contentOf(letters));
}

const tar = (...members: readonly Buffer[]): Buffer =>
  Buffer.concat([tarMember({ name: "./", type: "5", mode: 0o755 }), ...members, TAR_END]);

const LAYERS = [
  tar(file("a", "ABC"), file("removed", "R")),
  // A change of mode brings the whole file again; the other has three of its four chunks below or in itself.
  tar(file("a", "ABC", 0o600), file("b", "AX.C"), file("c", "..X")),
  tar(tarMember({ name: ".wh.removed" }), file("again", "R")),
];

async function convertLayers(directory: string, layers: readonly Buffer[]): Promise<ConvertReport> {
  const source = join(directory, "source");
  await writeSourceImage(new LayoutTarget(source, { tag: "a" }), { layers: layers.map(plainLayer) });
  const target = new LayoutTarget(join(directory, "out"), { tag: "nydus" });
  return await convert(openLayoutSource(source, "a"), target, directory, { chunkSize: CHUNK });
}

describe("a chunk that several layers hold", () => {
  it("is named in the lowest blob that has it, also when the file there is gone", async () => {
    await using directory = await temporaryDirectory();
    const report = await convertLayers(directory.path, LAYERS);
    const { bootstrap } = await readConverted(openConverted(directory.path));
    const [first, second] = report.images[0]?.layers.map(({ digest }) => digest.slice(7)) ?? [];
    assert.deepEqual(
      bootstrap.blobs.map(({ id }) => id),
      [first, second],
    );
    const places = new Map(
      listTree(bootstrap.root).flatMap(({ path, inode }) =>
        inode.type === "file"
          ? [[path, inode.chunks.map(({ blobIndex, index }) => `${blobIndex}:${index}`).join(" ")]]
          : [],
      ),
    );
    assert.deepEqual(Object.fromEntries(places), {
      a: "0:0 0:1 0:2",
      again: "0:3",
      b: "0:0 1:3 1:4 0:2",
      c: "1:4 1:4 1:3",
    });
  });

  it("is counted for its layer, apart from what the layer itself holds twice", async () => {
    await using directory = await temporaryDirectory();
    const report = await convertLayers(directory.path, LAYERS);
    assert.deepEqual(
      report.images[0]?.layers.map((layer) => ({
        chunks: layer.chunks,
        duplicate: [layer.duplicateChunks, layer.duplicateSize],
        shared: [layer.sharedChunks, layer.sharedSize],
      })),
      [
        { chunks: 4, duplicate: [0, 0], shared: [0, 0] },
        { chunks: 5, duplicate: [5, 5 * CHUNK], shared: [3, 3 * CHUNK] },
        { chunks: 1, duplicate: [0, 0], shared: [1, CHUNK] },
      ],
    );
    const { status, stdout } = await runCommand("nydus-convert", [
      "stat",
      `oci:${directory.path}/out`,
      "--json",
    ]);
    const { chunks, chunkReferences, chunkDecodedSize } = JSON.parse(stdout);
    assert.deepEqual(
      { status, chunks, chunkReferences, chunkDecodedSize },
      { status: 0, chunks: 6, chunkReferences: 11, chunkDecodedSize: 6 * CHUNK },
    );
  });

  it("changes no blob: a layer gives the same one in every image, and all stay layers", async () => {
    await using together = await temporaryDirectory();
    const report = await convertLayers(together.path, LAYERS);
    const { manifest, config } = await readConverted(openConverted(together.path));
    for (const [index, layer] of LAYERS.entries()) {
      await using alone = await temporaryDirectory();
      const { images } = await convertLayers(alone.path, [layer]);
      assert.equal(images[0]?.layers[0]?.digest, report.images[0]?.layers[index]?.digest);
      assert.equal(manifest.layers[index]?.digest, images[0]?.layers[0]?.digest);
      assert.equal(config.diffIds[index], images[0]?.layers[0]?.digest);
    }
    assert.equal(manifest.layers.length, 4);
  });

  it("passes the check, against the original too", async () => {
    await using directory = await temporaryDirectory();
    await convertLayers(directory.path, LAYERS);
    const source = `oci:${directory.path}/source`;
    const { status, stdout } = await runCommand("nydus-convert", [
      "check",
      `oci:${directory.path}/out`,
      "--source",
      source,
      "--json",
    ]);
    const { errors, warnings } = JSON.parse(stdout.trim().split("\n").at(-1) ?? "");
    assert.deepEqual({ status, errors, warnings }, { status: 0, errors: 0, warnings: 0 });
  });

  const missing = ["umoci", "fsck.erofs"].find((name) => !findProgram(name));
  const skip = skipFuse || (missing === undefined ? false : `${missing} is not installed`);
  it("reads right through FUSE and the kernel's EROFS", { skip }, async (context) => {
    await using directory = await temporaryDirectory();
    await convertLayers(directory.path, LAYERS);
    unpackWithUmoci(`${directory.path}/source:a`, join(directory.path, "unpacked"));
    const expected = (await rowsOfDirectory(join(directory.path, "unpacked"))).map(withoutRootTime);
    const { fuse, erofs, mounted, fsck } = await readByAll(`oci:${directory.path}/out`);
    assert.deepEqual(comparable(fuse).map(withoutRootTime), expected);
    assert.equal(fsck.status, 0, fsck.output);
    if (erofs === undefined) return context.skip(mounted);
    assert.deepEqual(comparable(erofs).map(withoutRootTime), expected);
  });
});

describe("zeros", () => {
  it("are one chunk for all files and holes of an image", async () => {
    await using directory = await temporaryDirectory();
    const size = 2 ** 26;
    const hole = Buffer.concat([
      paxHeader([
        ["GNU.sparse.size", String(size)],
        ["GNU.sparse.map", "0,4"],
      ]),
      tarMember({ name: "sparse" }, "data"),
    ]);
    const report = await convertLayers(directory.path, [
      tar(hole, file("zeros", "....")),
      tar(file("more", ".."), tarMember({ name: "odd" }, Buffer.alloc(CHUNK + 1))),
    ]);
    const { bootstrap } = await readConverted(openConverted(directory.path));
    const chunks = new Set(
      listTree(bootstrap.root).flatMap(({ inode }) => (inode.type === "file" ? inode.chunks : [])),
    );
    // The start of the sparse file, a whole chunk of zeros, and the shorter one at the end of the odd file.
    assert.deepEqual([...chunks].map(({ decodedSize }) => decodedSize).sort(), [1, CHUNK, CHUNK]);
    const [lower, upper] = report.images[0]?.layers ?? [];
    assert.deepEqual([lower?.chunks, upper?.chunks, upper?.sharedChunks], [2, 2, 1]);
  });

  it("come out of the image again", async () => {
    await using directory = await temporaryDirectory();
    await convertLayers(directory.path, [tar(file("a", "A..B.."), file("b", "...."))]);
    const rows = await rowsOfImage(`oci:${directory.path}/out`);
    const digestOf = (letters: string): string =>
      createHash("sha256").update(contentOf(letters)).digest("hex");
    assert.deepEqual(
      rows.slice(1).map((row) => [row.path, row["sha256"]]),
      [
        ["a", digestOf("A..B..")],
        ["b", digestOf("....")],
      ],
    );
  });
});

/** umoci writes into the root after it has set its time. */
function withoutRootTime(row: Row): Row {
  return row.path === "." ? { ...row, mtimeNs: "0" } : row;
}
