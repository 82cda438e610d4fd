/** Bytes of the attributes of an inode. */
export const FUSE_ATTR_SIZE = 88;

/** Bytes of the reply to GETATTR. */
export const FUSE_ATTR_OUT_SIZE = 16 + FUSE_ATTR_SIZE;

/** Bytes of the reply to LOOKUP, and of the same in front of each name of READDIRPLUS. */
export const FUSE_ENTRY_OUT_SIZE = 40 + FUSE_ATTR_SIZE;

/** What stat(2) shows of an inode. */
export interface FuseAttributes {
  /** st_ino. */
  readonly ino: number;
  /** Bytes. */
  readonly size: number;
  /** st_blocks: units of 512 bytes. */
  readonly blocks: number;
  /** Since 1970, negative before. Shown as access and change time, too: the image has no others. */
  readonly mtimeSeconds: number;
  readonly mtimeNanoseconds: number;
  /** st_mode with the type bits. */
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  /** Device number in the kernel's 32-bit form. */
  readonly rdev: number;
}

/** st_blksize: what one read(2) should be about; the page cache reads ahead on its own. */
const BLOCK_SIZE = 4096;

/** Writes a signed integer below 2^53 as two halves, without a bigint. */
function setInt64(view: DataView, offset: number, value: number): void {
  view.setUint32(offset, value % 2 ** 32, true);
  view.setInt32(offset + 4, Math.floor(value / 2 ** 32), true);
}

/**
 * Writes the attributes of an inode, {@link FUSE_ATTR_SIZE} bytes.
 *
 * u64 ino, size, blocks, atime, mtime, ctime, u32 atimensec, mtimensec, ctimensec, mode, nlink, uid, gid, rdev,
 * blksize, flags. The kernel takes the seconds as signed.
 *
 * @see Linux include/uapi/linux/fuse.h, struct fuse_attr
 */
export function encodeAttributes(view: DataView, offset: number, attributes: FuseAttributes): void {
  const { mtimeSeconds, mtimeNanoseconds } = attributes;
  setInt64(view, offset, attributes.ino);
  setInt64(view, offset + 8, attributes.size);
  setInt64(view, offset + 16, attributes.blocks);
  for (let time = 0; time < 3; time++) {
    setInt64(view, offset + 24 + 8 * time, mtimeSeconds);
    view.setUint32(offset + 48 + 4 * time, mtimeNanoseconds, true);
  }
  view.setUint32(offset + 60, attributes.mode, true);
  view.setUint32(offset + 64, attributes.nlink, true);
  view.setUint32(offset + 68, attributes.uid, true);
  view.setUint32(offset + 72, attributes.gid, true);
  view.setUint32(offset + 76, attributes.rdev, true);
  view.setUint32(offset + 80, BLOCK_SIZE, true);
  view.setUint32(offset + 84, 0, true);
}

/**
 * Writes the reply to GETATTR, {@link FUSE_ATTR_OUT_SIZE} bytes.
 *
 * u64 attr_valid, u32 attr_valid_nsec, u32 dummy, then the attributes.
 *
 * @param validSeconds How long the kernel may go on without asking again.
 * @see Linux include/uapi/linux/fuse.h, struct fuse_attr_out
 */
export function encodeAttrOut(
  view: DataView,
  offset: number,
  validSeconds: number,
  attributes: FuseAttributes,
): void {
  setInt64(view, offset, validSeconds);
  setInt64(view, offset + 8, 0);
  encodeAttributes(view, offset + 16, attributes);
}

/**
 * Writes the reply to LOOKUP, {@link FUSE_ENTRY_OUT_SIZE} bytes.
 *
 * u64 nodeid, generation, entry_valid, attr_valid, u32 entry_valid_nsec, attr_valid_nsec, then the attributes.
 *
 * @param nodeId What the kernel calls the inode from now on.
 * @param validSeconds How long the kernel may use name and attributes without asking again.
 * @see Linux include/uapi/linux/fuse.h, struct fuse_entry_out
 */
export function encodeEntryOut(
  view: DataView,
  offset: number,
  nodeId: number,
  validSeconds: number,
  attributes: FuseAttributes,
): void {
  setInt64(view, offset, nodeId);
  setInt64(view, offset + 8, 0);
  setInt64(view, offset + 16, validSeconds);
  setInt64(view, offset + 24, validSeconds);
  setInt64(view, offset + 32, 0);
  encodeAttributes(view, offset + 40, attributes);
}

/**
 * Writes the reply to LOOKUP that says "no such name" for `validSeconds`, or, with 0 seconds, the part of
 * READDIRPLUS that says nothing about an inode. {@link FUSE_ENTRY_OUT_SIZE} bytes.
 */
export function encodeAbsentEntryOut(view: DataView, offset: number, validSeconds: number): void {
  for (let at = 0; at < FUSE_ENTRY_OUT_SIZE; at += 4) view.setUint32(offset + at, 0, true);
  setInt64(view, offset + 16, validSeconds);
}
