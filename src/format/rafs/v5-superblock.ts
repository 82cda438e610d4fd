import { getSafeUint64 } from "../../base/bytes.ts";

/** Bytes of the RAFS v5 super-block, at the start of the bootstrap. */
export const V5_SUPERBLOCK_SIZE = 8192;

export const V5_MAGIC = 0x5241_4653;

/** The only version of RAFS v5. */
export const V5_VERSION = 0x500;

/** The RAFS v5 super-block. Offsets are bytes from the start of the bootstrap. */
export interface V5Superblock {
  readonly magic: number;
  readonly version: number;
  readonly size: number;
  readonly chunkSize: number;
  /** Bits of SUPER_FLAGS. */
  readonly flags: number;
  /** Distinct inodes: at most one per row of the inode table. */
  readonly inodeCount: number;
  readonly inodeTableOffset: number;
  readonly prefetchTableOffset: number;
  readonly blobTableOffset: number;
  /** Rows of the inode table: one per name. */
  readonly inodeTableRows: number;
  readonly prefetchTableRows: number;
  /** Bytes of the blob table. */
  readonly blobTableSize: number;
  readonly extendedBlobTableRows: number;
  readonly extendedBlobTableOffset: number;
}

/**
 * Reads the RAFS v5 super-block; checks nothing.
 *
 * @throws {RangeError} when it does not fit in `view` or a u64 is over 2^53-1.
 * @see nydus rafs/src/metadata/layout/v5.rs, RafsV5SuperBlock
 */
export function decodeV5Superblock(view: DataView): V5Superblock {
  return {
    magic: view.getUint32(0, true),
    version: view.getUint32(4, true),
    size: view.getUint32(8, true),
    chunkSize: view.getUint32(12, true),
    flags: getSafeUint64(view, 16),
    inodeCount: getSafeUint64(view, 24),
    inodeTableOffset: getSafeUint64(view, 32),
    prefetchTableOffset: getSafeUint64(view, 40),
    blobTableOffset: getSafeUint64(view, 48),
    inodeTableRows: view.getUint32(56, true),
    prefetchTableRows: view.getUint32(60, true),
    blobTableSize: view.getUint32(64, true),
    extendedBlobTableRows: view.getUint32(68, true),
    extendedBlobTableOffset: getSafeUint64(view, 72),
  };
}
