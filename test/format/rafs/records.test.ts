import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { fromHex, toHex, viewOf } from "#src/base/bytes.js";
import { BLOB_RECORD_SIZE, decodeBlobRecord, encodeBlobRecord } from "#src/format/rafs/blob-record.js";
import {
  CHUNK_RECORD_FLAGS,
  CHUNK_RECORD_SIZE,
  decodeChunkRecord,
  encodeChunkRecord,
} from "#src/format/rafs/chunk-record.js";
import {
  decodeExtendedSuperblock,
  EXTENDED_SUPERBLOCK_OFFSET,
  EXTENDED_SUPERBLOCK_SIZE,
  encodeExtendedSuperblock,
} from "#src/format/rafs/extended-superblock.js";
import {
  compressionFlag,
  compressorNumber,
  compressorOfFlags,
  compressorOfNumber,
  digesterNumber,
  digesterOfFlags,
  digesterOfNumber,
  digestFlag,
} from "#src/format/rafs/features.js";
import { decodePrefetchTable, encodePrefetchTable } from "#src/format/rafs/prefetch-table.js";
import { readFixture } from "../../support/fixtures.ts";
import { checkRecord } from "../../support/record.ts";

/** The worked example of a bootstrap: two files in one blob. */
const bootstrap = readFixture("golden", "nydus", "bootstrap", "rafs-v6-2.2.boot");

function hexAt(offset: number, size: number): string {
  return toHex(bootstrap.subarray(offset, offset + size));
}

describe("the RAFS super-block", () => {
  it("is that of a bootstrap of nydus 2.2", () => {
    const codec = {
      size: EXTENDED_SUPERBLOCK_SIZE,
      decode: decodeExtendedSuperblock,
      encode: encodeExtendedSuperblock,
    };
    checkRecord(codec, hexAt(EXTENDED_SUPERBLOCK_OFFSET, EXTENDED_SUPERBLOCK_SIZE), {
      flags: 0x194,
      blobTableOffset: 4096,
      blobTableSize: 256,
      chunkSize: 0x10_0000,
      chunkTableOffset: 16_384,
      chunkTableSize: 160,
      prefetchTableOffset: 0,
      prefetchTableSize: 0,
    });
  });
});

describe("a blob table row", () => {
  it("is that of a bootstrap of nydus 2.2", () => {
    const codec = { size: BLOB_RECORD_SIZE, decode: decodeBlobRecord, encode: encodeBlobRecord };
    checkRecord(codec, hexAt(4096, BLOB_RECORD_SIZE), {
      id: "be7d77eeb719f70884758d1aa800ed0fb09d701aaec469964e9d54325f0d5fef",
      index: 0,
      chunkSize: 0x10_0000,
      chunkCount: 2,
      compressor: 3,
      digester: 0,
      features: 0x7000_0021,
      storedSize: 14_554,
      decodedSize: 36_864,
      tocSize: 1024,
      chunkInformationCompressor: 0,
      chunkInformationOffset: 8314,
      chunkInformationStoredSize: 32,
      chunkInformationDecodedSize: 32,
      tocDigest: fromHex("cfc89ed0739aef4eb1bf0904f0dfdb1c857134eca7319465baae95a99b84acde"),
      metaDigest: new Uint8Array(32),
      metaSize: 0,
      cipher: 0,
    });
  });
});

describe("a chunk record", () => {
  const codec = { size: CHUNK_RECORD_SIZE, decode: decodeChunkRecord, encode: encodeChunkRecord };

  it("is that of sync_io.rs in a bootstrap of nydus 2.2", () => {
    checkRecord(codec, hexAt(16_384, CHUNK_RECORD_SIZE), {
      digest: new Uint8Array(bootstrap.subarray(16_384, 16_416)),
      blobIndex: 0,
      flags: CHUNK_RECORD_FLAGS.COMPRESSED,
      storedSize: 2974,
      decodedSize: 13_400,
      storedOffset: 4828,
      decodedOffset: 20_480,
      fileOffset: 0,
      index: 1,
      crc32c: 0,
    });
  });

  it("holds offsets of more than 32 bits and a CRC", () => {
    const hex = `${"ab".repeat(32)} 02000000 11000000 03000000 04000000
      0500000001000000 0060000002000000 0700000003000000 08000000 efbeadde`;
    checkRecord(codec, hex, {
      digest: new Uint8Array(32).fill(0xab),
      blobIndex: 2,
      flags: CHUNK_RECORD_FLAGS.COMPRESSED | CHUNK_RECORD_FLAGS.HAS_CRC32C,
      storedSize: 3,
      decodedSize: 4,
      storedOffset: 0x1_0000_0005,
      decodedOffset: 0x2_0000_6000,
      fileOffset: 0x3_0000_0007,
      index: 8,
      crc32c: 0xdead_beef,
    });
  });
});

describe("a prefetch table", () => {
  it("ends at the first 0", () => {
    const view = viewOf(fromHex("8000000001020000000000000f000000"));
    assert.deepEqual(decodePrefetchTable(view, 0, 4), [128, 513]);
    assert.deepEqual(decodePrefetchTable(view, 0, 1), [128]);
  });

  it("gives a RangeError when it does not fit", () => {
    assert.throws(() => decodePrefetchTable(viewOf(fromHex("80000000")), 0, 2), RangeError);
  });

  it("is written row by row", () => {
    const bytes = new Uint8Array(8);
    encodePrefetchTable(viewOf(bytes), 0, [128, 513]);
    assert.equal(toHex(bytes), "8000000001020000");
  });
});

describe("compressors and digesters", () => {
  it("have the numbers and flags of nydus", () => {
    for (const [compressor, number, flag] of [
      ["none", 0, 0x1],
      ["lz4_block", 1, 0x2],
      ["gzip", 2, 0x40],
      ["zstd", 3, 0x80],
    ] as const) {
      assert.deepEqual([compressorNumber(compressor), compressionFlag(compressor)], [number, flag]);
      assert.deepEqual(
        [compressorOfNumber(number), compressorOfFlags(flag | 0x34)],
        [compressor, compressor],
      );
    }
    for (const [digester, number, flag] of [
      ["blake3", 0, 0x4],
      ["sha256", 1, 0x8],
    ] as const) {
      assert.deepEqual([digesterNumber(digester), digestFlag(digester)], [number, flag]);
      assert.deepEqual([digesterOfNumber(number), digesterOfFlags(flag | 0xb0)], [digester, digester]);
    }
  });

  it("are unknown for other numbers, and for flags that name none or two", () => {
    assert.deepEqual([compressorOfNumber(4), digesterOfNumber(2)], [undefined, undefined]);
    assert.deepEqual([compressorOfFlags(0), compressorOfFlags(0x81)], [undefined, undefined]);
    assert.deepEqual([digesterOfFlags(0), digesterOfFlags(0xc)], [undefined, undefined]);
  });
});
