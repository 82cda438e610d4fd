import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type ErrorCode, isCoded } from "#src/base/errors.js";
import { readBootstrapHeader } from "#src/image/bootstrap-header.js";
import { goldenBootstrap } from "../support/golden-blobs.ts";

const SUPERBLOCK = 1024;
const EXTENDED = 1152;
const DEVICES = 1408;
const BLOBS = 4096;

const CORRUPT = "ERR_BOOTSTRAP_CORRUPT";
const UNSUPPORTED = "ERR_FEATURE_UNSUPPORTED";

/** A field that nydusd or the kernel checks: where it is, how many bytes, what is put there. */
type Refused = readonly [what: string, offset: number, bytes: 1 | 2 | 4 | 8, value: number, code: ErrorCode];

const REFUSED: readonly Refused[] = [
  ["another magic", SUPERBLOCK, 4, 1, CORRUPT],
  ["a checksum", SUPERBLOCK + 4, 4, 1, CORRUPT],
  ["plain EROFS", SUPERBLOCK + 8, 4, 0, UNSUPPORTED],
  ["512-byte blocks", SUPERBLOCK + 12, 1, 9, UNSUPPORTED],
  ["1024-byte blocks", SUPERBLOCK + 12, 1, 10, CORRUPT],
  ["extension slots", SUPERBLOCK + 13, 1, 1, CORRUPT],
  ["root nid 0", SUPERBLOCK + 14, 2, 0, CORRUPT],
  ["no inodes", SUPERBLOCK + 16, 8, 0, CORRUPT],
  ["metadata outside the image", SUPERBLOCK + 40, 4, 5, CORRUPT],
  ["shared xattrs", SUPERBLOCK + 44, 4, 1, CORRUPT],
  ["an EROFS feature more", SUPERBLOCK + 80, 4, 0x1c, UNSUPPORTED],
  ["an EROFS feature less", SUPERBLOCK + 80, 4, 0x4, UNSUPPORTED],
  ["a compression configuration", SUPERBLOCK + 84, 2, 1, CORRUPT],
  ["more devices than blobs", SUPERBLOCK + 86, 2, 4, CORRUPT],
  ["a device table elsewhere", SUPERBLOCK + 88, 2, 12, CORRUPT],
  ["two compressors", EXTENDED, 4, 0x185, CORRUPT],
  ["no digester", EXTENDED, 4, 0x80, CORRUPT],
  ["an unknown flag", EXTENDED, 4, 0x484, UNSUPPORTED],
  ["an unknown high flag", EXTENDED + 4, 4, 1, UNSUPPORTED],
  ["a blob table out of alignment", EXTENDED + 8, 8, 4104, CORRUPT],
  ["a blob table over the super-block", EXTENDED + 8, 8, 0, CORRUPT],
  ["a blob table outside the image", EXTENDED + 8, 8, 2 ** 40, CORRUPT],
  ["a blob table of half a row", EXTENDED + 16, 4, 128, CORRUPT],
  ["a chunk size of no power of two", EXTENDED + 20, 4, 0x1_1000, CORRUPT],
  ["a chunk size of 2 KiB", EXTENDED + 20, 4, 0x800, CORRUPT],
  ["a chunk size of 32 MiB", EXTENDED + 20, 4, 0x200_0000, CORRUPT],
  ["a chunk table over the blob table", EXTENDED + 24, 8, BLOBS, CORRUPT],
  ["a chunk table outside the image", EXTENDED + 32, 8, 2 ** 20 * 80, CORRUPT],
  ["a chunk table of half a row", EXTENDED + 32, 8, 40, CORRUPT],
  ["another tag of a device", DEVICES, 1, 0x30, CORRUPT],
  ["a device without blocks", DEVICES + 64, 4, 0, CORRUPT],
  ["a blob id of other characters", BLOBS, 1, 0x2f, CORRUPT],
  ["a blob in another's place", BLOBS + 64, 4, 1, CORRUPT],
  ["a blob's own chunk size", BLOBS + 68, 4, 0x1000, CORRUPT],
  ["more than 2^24 chunks", BLOBS + 72, 4, 2 ** 24 + 1, CORRUPT],
  ["an unknown compressor", BLOBS + 76, 4, 4, UNSUPPORTED],
  ["an unknown digester", BLOBS + 80, 4, 2, UNSUPPORTED],
  ["chunks that are not aligned", BLOBS + 84, 4, 0x7000_0020, CORRUPT],
  ["an unknown blob feature", BLOBS + 84, 4, 0x7000_1021, UNSUPPORTED],
  ["an external blob", BLOBS + 84, 4, 0x7000_0821, UNSUPPORTED],
  ["chunk information in a separate blob", BLOBS + 84, 4, 0x7000_0031, UNSUPPORTED],
  ["chunk information V2 of the size of V1", BLOBS + 84, 4, 0x7000_0025, CORRUPT],
  ["stored bytes over 2^40", BLOBS + 88, 8, 2 ** 40 + 1, CORRUPT],
  ["decoded bytes over 2^44", BLOBS + 96, 8, 2 ** 44 + 1, CORRUPT],
  ["chunk information of another size", BLOBS + 128, 8, 17, CORRUPT],
  ["chunk information larger than decoded", BLOBS + 120, 8, 2 ** 20, CORRUPT],
  ["a cipher", BLOBS + 216, 4, 1, UNSUPPORTED],
];

/** Fields that no reader checks. */
const ACCEPTED: readonly (readonly [what: string, offset: number, bytes: 1 | 2 | 4 | 8, value: number])[] = [
  ["a build time", SUPERBLOCK + 24, 8, 1_700_000_000],
  ["another count of blocks", SUPERBLOCK + 36, 4, 7],
  ["a uuid", SUPERBLOCK + 48, 4, 0xffff_ffff],
  ["a volume name", SUPERBLOCK + 64, 4, 0x6161_6161],
  ["a reserved flag", EXTENDED + 3, 1, 0x81],
  ["another mapped address", DEVICES + 68, 4, 0],
  ["no table of contents", BLOBS + 104, 4, 0],
  ["a size of a prefetch table without place", EXTENDED + 48, 4, 8],
];

function changed(offset: number, size: number, value: number): Uint8Array {
  const bytes = new Uint8Array(goldenBootstrap("made/merged").bytes);
  const view = new DataView(bytes.buffer);
  if (size === 1) view.setUint8(offset, value);
  else if (size === 2) view.setUint16(offset, value, true);
  else if (size === 4) view.setUint32(offset, value, true);
  else view.setBigUint64(offset, BigInt(value), true);
  return bytes;
}

describe("readBootstrapHeader()", () => {
  for (const [what, offset, size, value, code] of REFUSED) {
    it(`throws ${code} for ${what}`, () => {
      assert.throws(
        () => readBootstrapHeader(changed(offset, size, value)),
        (error) => isCoded(error, code),
      );
    });
  }

  for (const [what, offset, size, value] of ACCEPTED) {
    it(`accepts ${what}`, () => {
      assert.equal(readBootstrapHeader(changed(offset, size, value)).blobs.length, 3);
    });
  }

  it("throws ERR_BOOTSTRAP_CORRUPT for two devices with one id", () => {
    const bytes = changed(SUPERBLOCK, 4, 0xe0f5_e1e2);
    bytes.copyWithin(DEVICES + 128, DEVICES, DEVICES + 64);
    bytes.copyWithin(BLOBS + 256, BLOBS, BLOBS + 64);
    assert.throws(
      () => readBootstrapHeader(bytes),
      (error) => isCoded(error, CORRUPT) && error.message.includes("repeats"),
    );
  });
});
