import { describe, it } from "node:test";
import { toHex } from "#src/base/bytes.js";
import {
  decodeExtendedSuperblock,
  EXTENDED_SUPERBLOCK_OFFSET,
  EXTENDED_SUPERBLOCK_SIZE,
  encodeExtendedSuperblock,
} from "#src/format/rafs/extended-superblock.js";
import { readFixture } from "../../support/fixtures.ts";
import { checkRecord } from "../../support/record.ts";

/** Two files in one blob. */
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
