import { setSafeUint64 } from "../../base/bytes.ts";

/** Bytes per nid: an inode starts at a multiple of this from the metadata area. */
export const INODE_SLOT_SIZE = 32;

export const COMPACT_INODE_SIZE = 32;

export const EXTENDED_INODE_SIZE = 64;

/** How the content of an inode is laid out. Other values are not used by RAFS. */
export const INODE_LAYOUT = {
  /** Whole blocks at `union`. */
  PLAIN: 0,
  /** Whole blocks at `union`, the last partial one right behind inode and xattrs. */
  INLINE: 2,
  /** An array of chunk indexes behind inode and xattrs. */
  CHUNKED: 4,
} as const;

/** Bit of `union` of a chunked inode: the array holds 8-byte chunk indexes. */
export const CHUNK_FORMAT_INDEXES = 0x20;

/** An inode record. */
export interface ErofsInode {
  /** {@link COMPACT_INODE_SIZE} or {@link EXTENDED_INODE_SIZE}: where the xattrs start. */
  readonly recordSize: number;
  /** One of {@link INODE_LAYOUT} in a sound image. */
  readonly layout: number;
  /** Bits of the format word that have no meaning; 0 in a sound image. */
  readonly unknownFormat: number;
  /** 0 without xattrs, else their 4-byte units beyond the 12-byte header, plus 1. */
  readonly xattrCount: number;
  /** st_mode with the type bits. */
  readonly mode: number;
  readonly size: number;
  /** Block address, chunk format or device number, by type and layout. */
  readonly union: number;
  readonly ino: number;
  readonly uid: number;
  readonly gid: number;
  /** Since 1970, negative before. A compact inode has no time: 0. */
  readonly mtimeSeconds: number;
  readonly mtimeNanoseconds: number;
  readonly nlink: number;
}

/**
 * Reads a compact or an extended inode, as bit 0 of its format word says.
 *
 * @throws {RangeError} when it does not fit in `view`, or size or time are beyond 2^53-1.
 * @see Linux fs/erofs/erofs_fs.h, struct erofs_inode_compact and erofs_inode_extended
 */
export function decodeInode(view: DataView, offset: number): ErofsInode {
  const format = view.getUint16(offset, true);
  const isExtended = (format & 1) !== 0;
  return {
    recordSize: isExtended ? EXTENDED_INODE_SIZE : COMPACT_INODE_SIZE,
    layout: (format >> 1) & 7,
    unknownFormat: format & 0xfff0,
    xattrCount: view.getUint16(offset + 2, true),
    mode: view.getUint16(offset + 4, true),
    size: isExtended ? getUint64(view, offset + 8) : view.getUint32(offset + 8, true),
    union: view.getUint32(offset + 16, true),
    ino: view.getUint32(offset + 20, true),
    uid: isExtended ? view.getUint32(offset + 24, true) : view.getUint16(offset + 24, true),
    gid: isExtended ? view.getUint32(offset + 28, true) : view.getUint16(offset + 26, true),
    mtimeSeconds: isExtended ? getInt64(view, offset + 32) : 0,
    mtimeNanoseconds: isExtended ? view.getUint32(offset + 40, true) : 0,
    nlink: isExtended ? view.getUint32(offset + 44, true) : view.getUint16(offset + 6, true),
  };
}

/**
 * Writes an extended inode into zeroed bytes.
 *
 * @throws {RangeError} when it does not fit in `view`.
 */
export function encodeInode(view: DataView, offset: number, inode: ErofsInode): void {
  view.setUint16(offset, (inode.layout << 1) | inode.unknownFormat | 1, true);
  view.setUint16(offset + 2, inode.xattrCount, true);
  view.setUint16(offset + 4, inode.mode, true);
  setSafeUint64(view, offset + 8, inode.size);
  view.setUint32(offset + 16, inode.union, true);
  view.setUint32(offset + 20, inode.ino, true);
  view.setUint32(offset + 24, inode.uid, true);
  view.setUint32(offset + 28, inode.gid, true);
  view.setBigInt64(offset + 32, BigInt(inode.mtimeSeconds), true);
  view.setUint32(offset + 40, inode.mtimeNanoseconds, true);
  view.setUint32(offset + 44, inode.nlink, true);
  view.setUint32(offset + 60, 0, true);
}

// These two run at every lookup of a mount: a BigInt would be garbage each time.

function getUint64(view: DataView, offset: number): number {
  return combine(offset, view.getUint32(offset + 4, true), view.getUint32(offset, true));
}

function getInt64(view: DataView, offset: number): number {
  return combine(offset, view.getInt32(offset + 4, true), view.getUint32(offset, true));
}

function combine(offset: number, high: number, low: number): number {
  const value = high * 2 ** 32 + low;
  if (!Number.isSafeInteger(value)) throw new RangeError(`64-bit number at ${offset} is beyond 2^53-1`);
  return value;
}
