import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { decodeBlobMetaFile } from "#src/format/blob/blob-meta-file.js";
import { decodeChunkTable } from "#src/format/blob/chunk-information.js";
import { readBootstrap } from "#src/image/bootstrap-reader.js";
import { checkBlobTable } from "#src/image/check-blob-table.js";
import type { Blob } from "#src/image/chunk.js";
import { BLOB_ROW_MUTATIONS } from "../support/blob-row-mutations.ts";
import { readFixture } from "../support/fixtures.ts";
import { goldenBootstrap } from "../support/golden-blobs.ts";

const GOLDEN = "made/v6-zstd-blake3";

function goldenBlob(): Blob {
  const blob = readBootstrap(goldenBootstrap(GOLDEN).bytes).blobs[0];
  assert.ok(blob !== undefined);
  return blob;
}

describe("checkBlobTable()", () => {
  const blob = goldenBlob();
  const { header, chunkInformation } = decodeBlobMetaFile(
    readFixture("golden", GOLDEN, "cache", `${blob.id}.blob.meta`),
  );
  const table = decodeChunkTable(chunkInformation, {
    features: blob.features,
    compressor: blob.compressor,
    chunkCount: blob.chunkCount,
    storedEnd: blob.storedSize,
    decodedSize: blob.decodedSize,
  });

  it("finds nothing in a golden blob", () => {
    assert.deepEqual(checkBlobTable("blob 0", blob, header, table), []);
  });

  for (const { code, change } of BLOB_ROW_MUTATIONS) {
    it(`finds ${code} when the row of the blob table differs`, () => {
      const found = checkBlobTable("blob 0", { ...blob, ...change(blob) }, header, table);
      assert.ok(found.some((finding) => finding.code === code));
      assert.equal(found[0]?.where, "blob 0");
    });
  }
});
