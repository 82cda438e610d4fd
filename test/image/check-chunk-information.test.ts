import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { decodeBlobMetaFile } from "#src/format/blob/blob-meta-file.js";
import { decodeChunkTable } from "#src/format/blob/chunk-information.js";
import type { ChunkInformationHeader } from "#src/format/blob/chunk-information-header.js";
import { readBootstrap } from "#src/image/bootstrap-reader.js";
import { checkChunkInformation } from "#src/image/check-chunk-information.js";
import type { Blob } from "#src/image/chunk.js";
import { readFixture } from "../support/fixtures.ts";
import { goldenBootstrap } from "../support/golden-blobs.ts";

const GOLDEN = "made/v6-zstd-blake3";

function goldenBlob(): Blob {
  const blob = readBootstrap(goldenBootstrap(GOLDEN).bytes).blobs[0];
  assert.ok(blob !== undefined);
  return blob;
}

describe("checkChunkInformation()", () => {
  const blob = goldenBlob();
  const { header, chunkInformation } = decodeBlobMetaFile(
    readFixture("golden", GOLDEN, "cache", `${blob.id}.blob.meta`),
  );
  const table = decodeChunkTable(chunkInformation, { ...blob, storedEnd: blob.storedSize });
  const codesOf = (changes: { blob?: Partial<Blob>; header?: Partial<ChunkInformationHeader> }) =>
    checkChunkInformation(
      "blob 0",
      { ...blob, ...changes.blob },
      { ...header, ...changes.header },
      table,
    ).map(({ code }) => code);

  it("finds nothing in a golden blob", () => {
    assert.deepEqual(codesOf({}), []);
  });

  it("finds batch or zran rows where there can be none", () => {
    for (const field of ["contextOffset", "contextSize", "contextCount"] as const) {
      assert.deepEqual(codesOf({ header: { [field]: 1 } }), ["header-context-invalid"]);
    }
  });

  it("finds that batch or zran rows are missing", () => {
    assert.deepEqual(codesOf({ blob: { features: blob.features | 0x84 } }), ["header-context-invalid"]);
  });

  it("finds another decoded size than the chunks have together", () => {
    for (const difference of [4096, 1, -1]) {
      assert.deepEqual(codesOf({ blob: { decodedSize: blob.decodedSize + difference } }), [
        "decoded-size-mismatch",
      ]);
    }
  });
});
