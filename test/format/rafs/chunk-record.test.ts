import { describe, it } from "node:test";
import { toHex } from "#src/base/bytes.js";
import {
  CHUNK_RECORD_FLAGS,
  CHUNK_RECORD_SIZE,
  decodeChunkRecord,
  encodeChunkRecord,
} from "#src/format/rafs/chunk-record.js";
import { readFixture } from "../../support/fixtures.ts";
import { checkRecord } from "../../support/record.ts";

/** Two files in one blob. */
const bootstrap = readFixture("golden", "nydus", "bootstrap", "rafs-v6-2.2.boot");

function hexAt(offset: number, size: number): string {
  return toHex(bootstrap.subarray(offset, offset + size));
}

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
