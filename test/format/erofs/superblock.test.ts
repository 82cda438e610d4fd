import { describe, it } from "node:test";
import { toHex } from "#src/base/bytes.js";
import {
  decodeSuperblock,
  encodeSuperblock,
  SUPERBLOCK_OFFSET,
  SUPERBLOCK_SIZE,
} from "#src/format/erofs/superblock.js";
import { readFixture } from "../../support/fixtures.ts";
import { checkRecord } from "../../support/record.ts";

describe("the EROFS super-block", () => {
  it("is that of a bootstrap of nydus 2.2", () => {
    const bytes = readFixture("golden", "nydus", "bootstrap", "rafs-v6-2.2.boot");
    const hex = toHex(bytes.subarray(SUPERBLOCK_OFFSET, SUPERBLOCK_OFFSET + SUPERBLOCK_SIZE));
    checkRecord({ size: SUPERBLOCK_SIZE, decode: decodeSuperblock, encode: encodeSuperblock }, hex, {
      magic: 0xe0f5_e1e2,
      checksum: 0,
      featureCompat: 0x4000_0000,
      blockBits: 12,
      extensionSlots: 0,
      rootNid: 128,
      inodeCount: 3,
      buildSeconds: 0,
      buildNanoseconds: 0,
      blocks: 9,
      metaStartBlock: 2,
      xattrStartBlock: 0,
      featureIncompat: 0xc,
      compressionConfig: 0,
      deviceCount: 1,
      deviceTableSlot: 11,
    });
  });
});
