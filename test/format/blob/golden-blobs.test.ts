import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { concatBytes, equalBytes, isZero, toHex, viewOf } from "#src/base/bytes.js";
import { isCoded } from "#src/base/errors.js";
import { type BlobSections, findBlobSections, SECTION_NAMES } from "#src/format/blob/blob-sections.js";
import {
  decodeChunkTable,
  encodeChunkTable,
  storedChunksEnd,
  unsupportedBlobFeature,
} from "#src/format/blob/chunk-information.js";
import {
  decodeChunkInformationHeader,
  encodeChunkInformationHeader,
} from "#src/format/blob/chunk-information-header.js";
import type { ChunkTable } from "#src/format/blob/chunk-table.js";
import { encodeTarTrailer, TAR_TRAILER_SIZE } from "#src/format/blob/tar-trailer.js";
import { encodeToc } from "#src/format/blob/toc.js";
import { BLOB_RECORD_SIZE, type BlobRecord, decodeBlobRecord } from "#src/format/rafs/blob-record.js";
import { CHUNK_RECORD_SIZE, decodeChunkRecord } from "#src/format/rafs/chunk-record.js";
import {
  decodeExtendedSuperblock,
  EXTENDED_SUPERBLOCK_OFFSET,
} from "#src/format/rafs/extended-superblock.js";
import { compressorOfNumber, digesterOfNumber } from "#src/format/rafs/features.js";
import { findGoldenBlob, listGoldenBlobs, listGoldenBootstraps } from "../../support/golden-blobs.ts";
import { decodeStored, digestOf } from "../../support/raw-codecs.ts";

function sectionsOf(bytes: Uint8Array): Promise<BlobSections> {
  return findBlobSections(bytes.length, async (offset, length) => bytes.subarray(offset, offset + length));
}

function storedSection(bytes: Uint8Array, sections: BlobSections, name: string): Uint8Array | undefined {
  const section = sections.sections.get(name);
  return section && bytes.subarray(section.offset, section.offset + section.storedSize);
}

describe("findBlobSections() on golden blobs", () => {
  for (const { path, bytes } of listGoldenBlobs()) {
    const isEncrypted = path.includes("encrypt");
    it(`finds what ${path} is made of`, async () => {
      const { sections, toc } = await sectionsOf(bytes);
      if (path.includes("/v5") && !path.startsWith("nydusify")) {
        assert.equal(sections.size, 0);
        return;
      }
      if (path.includes("repeatable/blobs")) {
        assert.equal(sections.size, 0);
        return;
      }
      if (isEncrypted) {
        // The header is encrypted too: only a blob with tar trailers tells what it is made of.
        assert.equal(sections.size, 0);
        return;
      }
      assert.ok(sections.size > 0);
      for (const row of toc?.rows ?? []) {
        const stored = storedSection(bytes, { sections, toc }, row.name) ?? new Uint8Array();
        const covered =
          row.name === SECTION_NAMES.CHUNKS
            ? bytes.subarray(0, row.storedSize + TAR_TRAILER_SIZE)
            : decodeStored(row.compressor, stored, row.decodedSize);
        assert.equal(toHex(digestOf("sha256", covered)), toHex(row.digest), row.name);
      }
    });

    it(`encodes the trailers and the table of contents of ${path} to the same bytes`, async () => {
      const { sections, toc } = await sectionsOf(bytes);
      const hasTrailers = toc !== undefined || sections.has(SECTION_NAMES.BOOTSTRAP);
      for (const name of [SECTION_NAMES.CHUNKS, SECTION_NAMES.DIGESTS, SECTION_NAMES.BOOTSTRAP]) {
        const section = sections.get(name);
        if (!hasTrailers || section === undefined) continue;
        const end = section.offset + section.storedSize;
        assert.deepEqual(
          encodeTarTrailer({ name, size: section.storedSize }),
          new Uint8Array(bytes.subarray(end, end + TAR_TRAILER_SIZE)),
        );
      }
      // Release 2.2 left garbage in the reserved bytes of the rows.
      if (toc === undefined || path.startsWith("nydus/")) return;
      const rows = encodeToc(toc.rows);
      const trailer = encodeTarTrailer({ name: SECTION_NAMES.TOC, size: rows.length });
      assert.deepEqual(concatBytes([rows, trailer]), new Uint8Array(toc.bytes));
    });
  }
});

interface GoldenTable {
  readonly blob: BlobRecord;
  readonly bytes: Uint8Array;
  readonly table: ChunkTable;
  readonly chunkInformation: Uint8Array;
  readonly headerBytes: Uint8Array;
}

function readTable(bytes: Uint8Array, blob: BlobRecord): GoldenTable {
  const start = blob.chunkInformationOffset;
  const end = start + blob.chunkInformationStoredSize;
  const chunkInformation = decodeStored(
    compressorOfNumber(blob.chunkInformationCompressor) ?? "none",
    bytes.subarray(start, end),
    blob.chunkInformationDecodedSize,
  );
  const table = decodeChunkTable(chunkInformation, {
    features: blob.features,
    compressor: compressorOfNumber(blob.compressor) ?? "none",
    chunkCount: blob.chunkCount,
    storedEnd: storedChunksEnd({
      features: blob.features,
      storedSize: blob.storedSize,
      chunkInformation: { offset: start, decodedSize: blob.chunkInformationDecodedSize },
    }),
    decodedSize: blob.decodedSize,
  });
  return { blob, bytes, table, chunkInformation, headerBytes: bytes.subarray(end, end + 4096) };
}

describe("decodeChunkTable() on golden blobs", () => {
  for (const golden of listGoldenBootstraps()) {
    const view = viewOf(golden.bytes);
    if (view.getUint32(1024, true) !== 0xe0f5e1e2) continue;
    const superblock = decodeExtendedSuperblock(view, EXTENDED_SUPERBLOCK_OFFSET);
    const records: BlobRecord[] = [];
    for (let offset = 0; offset < superblock.blobTableSize; offset += BLOB_RECORD_SIZE) {
      records.push(decodeBlobRecord(view, superblock.blobTableOffset + offset));
    }
    for (const record of records) {
      const bytes = findGoldenBlob(golden.blobFolders, record.id);
      if (bytes === undefined) continue;
      const compressor = compressorOfNumber(record.compressor) ?? "none";
      const unsupported = unsupportedBlobFeature({ features: record.features, compressor });

      if (unsupported !== undefined) {
        it(`refuses blob ${record.index} of ${golden.name} for ${unsupported}`, () => {
          assert.throws(
            () =>
              decodeChunkTable(new Uint8Array(), {
                features: record.features,
                compressor,
                chunkCount: record.chunkCount,
                storedEnd: record.storedSize,
                decodedSize: record.decodedSize,
              }),
            (error) => isCoded(error, "ERR_FEATURE_UNSUPPORTED") && error.message.includes(unsupported),
          );
        });
        continue;
      }

      it(`reads blob ${record.index} of ${golden.name} and encodes it to the same bytes`, () => {
        const { table, chunkInformation, headerBytes } = readTable(bytes, record);
        assert.deepEqual(encodeChunkTable(table, record.features), new Uint8Array(chunkInformation));
        const header = decodeChunkInformationHeader(headerBytes);
        assert.deepEqual(encodeChunkInformationHeader(header), new Uint8Array(headerBytes));
        assert.equal(header.chunkCount, record.chunkCount);
        assert.equal(header.offset, record.chunkInformationOffset);
      });

      it(`finds in blob ${record.index} of ${golden.name} every chunk the bootstrap names`, () => {
        const { table } = readTable(bytes, record);
        const digester = digesterOfNumber(record.digester) ?? "sha256";
        const count = superblock.chunkTableSize / CHUNK_RECORD_SIZE;
        assert.ok(count > 0);
        for (let row = 0; row < count; row++) {
          const chunk = decodeChunkRecord(view, superblock.chunkTableOffset + row * CHUNK_RECORD_SIZE);
          if (chunk.blobIndex !== record.index) continue;
          const { index } = chunk;
          assert.equal(table.storedOffsets[index], chunk.storedOffset);
          assert.equal(table.storedSizes[index], chunk.storedSize);
          assert.equal(table.decodedOffsets[index], chunk.decodedOffset);
          assert.equal(table.decodedSizes[index], chunk.decodedSize);
          const stored = bytes.subarray(chunk.storedOffset, chunk.storedOffset + chunk.storedSize);
          const decoded = decodeStored(
            table.isCompressed(index) ? compressor : "none",
            stored,
            chunk.decodedSize,
          );
          assert.ok(equalBytes(digestOf(digester, decoded), chunk.digest), `chunk ${index}`);
        }
      });

      it(`verifies the digest section of blob ${record.index} of ${golden.name}`, async () => {
        const sections = await sectionsOf(bytes);
        if (!isZero(record.tocDigest)) {
          const toc = sections.toc?.bytes ?? new Uint8Array();
          assert.equal(toHex(digestOf("sha256", toc)), toHex(record.tocDigest));
          assert.equal(toc.length, record.tocSize);
        }
        const digests = storedSection(bytes, sections, SECTION_NAMES.DIGESTS);
        if (digests === undefined) return;
        assert.equal(digests.length, record.chunkCount * 32);
        for (let row = 0; row < superblock.chunkTableSize / CHUNK_RECORD_SIZE; row++) {
          const chunk = decodeChunkRecord(view, superblock.chunkTableOffset + row * CHUNK_RECORD_SIZE);
          if (chunk.blobIndex !== record.index) continue;
          assert.ok(equalBytes(digests.subarray(chunk.index * 32, chunk.index * 32 + 32), chunk.digest));
        }
      });
    }
  }
});
