import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { decompressChunk } from "#src/codec/decompress.js";
import { decodeBlobMetaFile } from "#src/format/blob/blob-meta-file.js";
import { decodeChunkTable, storedChunksEnd } from "#src/format/blob/chunk-information.js";
import type { Blob } from "#src/image/chunk.js";
import {
  type ConvertedImage,
  convertFixture,
  openConverted,
  readConverted,
} from "../support/converted-image.ts";
import { readJsonLines } from "../support/fixtures.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const hasFsck = spawnSync("fsck.erofs", ["--version"]).error === undefined;
const skip = hasFsck ? false : "fsck.erofs (erofs-utils) is not on PATH";

/** The decoded space of a blob, as EROFS takes it as a device, by way of the bootstrap layer's `.blob.meta`. */
function decodedSpace(blob: Blob, { files }: ConvertedImage, blobFolder: string): Uint8Array {
  const file = files.find(({ name }) => name === `image/${blob.id}.blob.meta`);
  assert.ok(file !== undefined);
  const { header, chunkInformation } = decodeBlobMetaFile(file.bytes);
  const { compressor, decodedSize } = blob;
  const table = decodeChunkTable(chunkInformation, {
    features: header.features,
    compressor,
    chunkCount: header.chunkCount,
    storedEnd: storedChunksEnd(blob),
    decodedSize,
  });
  const stored = readFileSync(join(blobFolder, blob.id));
  const space = new Uint8Array(decodedSize);
  for (let index = 0; index < table.count; index++) {
    const offset = table.storedOffsets[index] ?? 0;
    const bytes = stored.subarray(offset, offset + (table.storedSizes[index] ?? 0));
    const how = table.isCompressed(index) ? compressor : "none";
    const decoded = decompressChunk(how, bytes, table.decodedSizes[index] ?? 0);
    space.set(decoded, table.decodedOffsets[index] ?? 0);
  }
  return space;
}

describe("a converted image", { skip }, () => {
  for (const options of [{}, { compressor: "lz4_block", chunkSize: 4096 }, { compressor: "none" }]) {
    it(`is clean for fsck.erofs, which extracts the right bytes (${JSON.stringify(options)})`, async () => {
      await using directory = await temporaryDirectory();
      await convertFixture(directory.path, options);
      const image = await readConverted(openConverted(directory.path));
      const devices = image.bootstrap.blobs.map((blob) => {
        const path = join(directory.path, blob.id);
        writeFileSync(path, decodedSpace(blob, image, join(directory.path, "out", "blobs", "sha256")));
        return `--device=${path}`;
      });
      const bootstrap = join(directory.path, "bootstrap");
      const file = image.files.find(({ name }) => name === "image/image.boot");
      assert.ok(file !== undefined);
      writeFileSync(bootstrap, file.bytes);
      const extracted = join(directory.path, "extracted");
      const { status, stdout, stderr } = spawnSync(
        "fsck.erofs",
        [...devices, `--extract=${extracted}`, "--no-preserve", bootstrap],
        { encoding: "utf8" },
      );
      assert.equal(status, 0, stdout + stderr);
      const files = readJsonLines("golden", "made", "layers-1-3.jsonl").filter(({ type }) => type === "file");
      assert.ok(files.length > 5);
      for (const { path, sha256 } of files) {
        const bytes = readFileSync(join(extracted, String(path)));
        assert.equal(createHash("sha256").update(bytes).digest("hex"), sha256, String(path));
      }
    });
  }
});
