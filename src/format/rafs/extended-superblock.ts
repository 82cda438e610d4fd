import { getSafeUint64, setSafeUint64 } from "../../base/bytes.ts";

/** Where the RAFS super-block starts: right behind that of EROFS. */
export const EXTENDED_SUPERBLOCK_OFFSET = 1152;

export const EXTENDED_SUPERBLOCK_SIZE = 256;

/** Where the device table of RAFS starts, in units of its slots: right behind both super-blocks. */
export const DEVICE_TABLE_SLOT = 11;

/** The tables start at multiples of this, whatever the block size. */
export const TABLE_ALIGNMENT = 4096;

/** What RAFS v6 adds to EROFS. Offsets are bytes from the start of the image, sizes bytes. */
export interface ExtendedSuperblock {
  /** Bits of SUPER_FLAGS. */
  readonly flags: number;
  readonly blobTableOffset: number;
  readonly blobTableSize: number;
  readonly chunkSize: number;
  readonly chunkTableOffset: number;
  readonly chunkTableSize: number;
  readonly prefetchTableOffset: number;
  readonly prefetchTableSize: number;
}

/**
 * Reads the RAFS v6 super-block; checks nothing.
 *
 * @throws {RangeError} when it does not fit in `view` or a u64 is over 2^53-1.
 * @see nydus rafs/src/metadata/layout/v6.rs, RafsV6SuperBlockExt
 */
export function decodeExtendedSuperblock(view: DataView, offset: number): ExtendedSuperblock {
  return {
    flags: getSafeUint64(view, offset),
    blobTableOffset: getSafeUint64(view, offset + 8),
    blobTableSize: view.getUint32(offset + 16, true),
    chunkSize: view.getUint32(offset + 20, true),
    chunkTableOffset: getSafeUint64(view, offset + 24),
    chunkTableSize: getSafeUint64(view, offset + 32),
    prefetchTableOffset: getSafeUint64(view, offset + 40),
    prefetchTableSize: view.getUint32(offset + 48, true),
  };
}

/** Bytes of the prefetch table. Old builders left a size in the super-block without a table. */
export function prefetchTableSize(superblock: ExtendedSuperblock): number {
  return superblock.prefetchTableOffset === 0 ? 0 : superblock.prefetchTableSize;
}

/**
 * Writes the RAFS v6 super-block into zeroed bytes.
 *
 * @throws {RangeError} when it does not fit in `view`.
 */
export function encodeExtendedSuperblock(
  view: DataView,
  offset: number,
  superblock: ExtendedSuperblock,
): void {
  setSafeUint64(view, offset, superblock.flags);
  setSafeUint64(view, offset + 8, superblock.blobTableOffset);
  view.setUint32(offset + 16, superblock.blobTableSize, true);
  view.setUint32(offset + 20, superblock.chunkSize, true);
  setSafeUint64(view, offset + 24, superblock.chunkTableOffset);
  setSafeUint64(view, offset + 32, superblock.chunkTableSize);
  setSafeUint64(view, offset + 40, superblock.prefetchTableOffset);
  view.setUint32(offset + 48, superblock.prefetchTableSize, true);
  view.setUint32(offset + EXTENDED_SUPERBLOCK_SIZE - 4, 0, true);
}
