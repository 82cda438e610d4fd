import { getSafeUint64, setSafeUint64 } from "../../base/bytes.ts";

/** Where the EROFS super-block starts in the image. */
export const SUPERBLOCK_OFFSET = 1024;

/** Bytes of the EROFS super-block. */
export const SUPERBLOCK_SIZE = 128;

export const EROFS_MAGIC = 0xe0f5_e1e2;

/** Bit of `featureCompat` that marks a RAFS v6 bootstrap. */
export const COMPAT_RAFS_V6 = 0x4000_0000;

/** Bits of `featureIncompat`; RAFS v6 has exactly these two. */
export const INCOMPAT_CHUNKED_FILE = 0x4;
export const INCOMPAT_DEVICE_TABLE = 0x8;

/** The EROFS super-block. Counts of blocks are in filesystem blocks. */
export interface Superblock {
  readonly magic: number;
  readonly checksum: number;
  readonly featureCompat: number;
  /** log2 of the block size. */
  readonly blockBits: number;
  readonly extensionSlots: number;
  readonly rootNid: number;
  readonly inodeCount: number;
  /** Seconds since 1970; stands in for the mtime of compact inodes. */
  readonly buildSeconds: number;
  readonly buildNanoseconds: number;
  readonly blocks: number;
  readonly metaStartBlock: number;
  readonly xattrStartBlock: number;
  readonly featureIncompat: number;
  readonly compressionConfig: number;
  readonly deviceCount: number;
  /** Start of the device table in units of 128 bytes. */
  readonly deviceTableSlot: number;
}

/**
 * Reads the EROFS super-block; checks nothing. The uuid and the volume name are skipped.
 *
 * @throws {RangeError} when it does not fit in `view` or a u64 is over 2^53-1.
 * @see Linux fs/erofs/erofs_fs.h, struct erofs_super_block
 */
export function decodeSuperblock(view: DataView, offset: number): Superblock {
  return {
    magic: view.getUint32(offset, true),
    checksum: view.getUint32(offset + 4, true),
    featureCompat: view.getUint32(offset + 8, true),
    blockBits: view.getUint8(offset + 12),
    extensionSlots: view.getUint8(offset + 13),
    rootNid: view.getUint16(offset + 14, true),
    inodeCount: getSafeUint64(view, offset + 16),
    buildSeconds: getSafeUint64(view, offset + 24),
    buildNanoseconds: view.getUint32(offset + 32, true),
    blocks: view.getUint32(offset + 36, true),
    metaStartBlock: view.getUint32(offset + 40, true),
    xattrStartBlock: view.getUint32(offset + 44, true),
    featureIncompat: view.getUint32(offset + 80, true),
    compressionConfig: view.getUint16(offset + 84, true),
    deviceCount: view.getUint16(offset + 86, true),
    deviceTableSlot: view.getUint16(offset + 88, true),
  };
}

/**
 * Writes the EROFS super-block into zeroed bytes.
 *
 * @throws {RangeError} when it does not fit in `view`.
 */
export function encodeSuperblock(view: DataView, offset: number, superblock: Superblock): void {
  view.setUint32(offset, superblock.magic, true);
  view.setUint32(offset + 4, superblock.checksum, true);
  view.setUint32(offset + 8, superblock.featureCompat, true);
  view.setUint8(offset + 12, superblock.blockBits);
  view.setUint8(offset + 13, superblock.extensionSlots);
  view.setUint16(offset + 14, superblock.rootNid, true);
  setSafeUint64(view, offset + 16, superblock.inodeCount);
  setSafeUint64(view, offset + 24, superblock.buildSeconds);
  view.setUint32(offset + 32, superblock.buildNanoseconds, true);
  view.setUint32(offset + 36, superblock.blocks, true);
  view.setUint32(offset + 40, superblock.metaStartBlock, true);
  view.setUint32(offset + 44, superblock.xattrStartBlock, true);
  view.setUint32(offset + 80, superblock.featureIncompat, true);
  view.setUint16(offset + 84, superblock.compressionConfig, true);
  view.setUint16(offset + 86, superblock.deviceCount, true);
  view.setUint16(offset + 88, superblock.deviceTableSlot, true);
  view.setUint32(offset + 124, 0, true);
}
