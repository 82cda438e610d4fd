import { getSafeUint64, setSafeUint64 } from "../../base/bytes.ts";

/** Bytes of the reply to GETXATTR and LISTXATTR that only tells a size. */
export const FUSE_XATTR_SIZE_OUT_SIZE = 8;

/** Bytes of the reply to OPEN. */
export const FUSE_OPEN_OUT_SIZE = 16;

/** How the kernel treats an opened file. */
export const FUSE_OPEN_FLAGS = {
  /** Nothing of it stays in the page cache. */
  DIRECT_IO: 2 ** 0,
  /** What the page cache holds of it is still good. */
  KEEP_CACHE: 2 ** 1,
  /** No FLUSH at close(2) (protocol 7.35). */
  NOFLUSH: 2 ** 5,
} as const;

/**
 * Writes the reply to OPEN: u64 fh, u32 open_flags, i32 backing_id. There is no file handle: READ names the inode.
 *
 * @see Linux include/uapi/linux/fuse.h, struct fuse_open_out
 */
export function encodeOpenOut(view: DataView, offset: number, flags: number): void {
  for (let at = 0; at < FUSE_OPEN_OUT_SIZE; at += 4) view.setUint32(offset + at, 0, true);
  view.setUint32(offset + 8, flags, true);
}

/** Bytes of the reply to STATFS. */
export const FUSE_STATFS_OUT_SIZE = 80;

/**
 * The offset that READ, READDIR and READDIRPLUS ask for.
 *
 * Body: u64 fh, u64 offset, u32 size, u32 read_flags, u64 lock_owner, u32 flags, u32 padding.
 *
 * @throws {RangeError} when it does not fit or is over 2^53-1.
 * @see Linux include/uapi/linux/fuse.h, struct fuse_read_in
 */
export function readInOffset(view: DataView, body: number): number {
  return getSafeUint64(view, body + 8);
}

/** The number of bytes that READ, READDIR and READDIRPLUS ask for, see {@link readInOffset}. */
export function readInSize(view: DataView, body: number): number {
  return view.getUint32(body + 16, true);
}

/**
 * The room for the answer that GETXATTR (whose name starts at `body + 8`) and LISTXATTR give; 0 asks for the size.
 *
 * Body: u32 size, u32 padding.
 *
 * @see Linux include/uapi/linux/fuse.h, struct fuse_getxattr_in
 */
export function xattrInSize(view: DataView, body: number): number {
  return view.getUint32(body, true);
}

/**
 * Writes the answer to a GETXATTR or LISTXATTR that asked for the size: u32 size, u32 padding.
 *
 * @see Linux include/uapi/linux/fuse.h, struct fuse_getxattr_out
 */
export function encodeXattrSizeOut(view: DataView, offset: number, size: number): void {
  view.setUint32(offset, size, true);
  view.setUint32(offset + 4, 0, true);
}

/** What statfs(2) shows of a filesystem that cannot be written. */
export interface FuseStatfs {
  /** Units of `blockSize`. */
  readonly blocks: number;
  readonly blockSize: number;
  /** Inodes. */
  readonly files: number;
  readonly nameLength: number;
}

/**
 * Writes the reply to STATFS.
 *
 * u64 blocks, bfree, bavail, files, ffree, u32 bsize, namelen, frsize, padding, spare[6].
 *
 * @see Linux include/uapi/linux/fuse.h, struct fuse_kstatfs
 */
export function encodeStatfsOut(view: DataView, offset: number, statfs: FuseStatfs): void {
  for (let at = 0; at < FUSE_STATFS_OUT_SIZE; at += 4) view.setUint32(offset + at, 0, true);
  setSafeUint64(view, offset, statfs.blocks);
  setSafeUint64(view, offset + 24, statfs.files);
  view.setUint32(offset + 40, statfs.blockSize, true);
  view.setUint32(offset + 44, statfs.nameLength, true);
  view.setUint32(offset + 48, statfs.blockSize, true);
}
