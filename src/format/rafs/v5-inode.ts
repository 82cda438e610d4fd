import { alignUp, type ByteString, byteString, getSafeUint64 } from "../../base/bytes.ts";
import { CHUNK_RECORD_SIZE } from "./chunk-record.ts";

/** Bytes of an inode record, without the name and what else follows. */
export const V5_INODE_SIZE = 128;

/** Records, names, link targets and xattrs start at multiples of this. */
export const V5_ALIGNMENT = 8;

/** Bits of {@link V5Inode.flags}. */
export const V5_INODE_FLAGS = {
  SYMLINK: 0x1,
  /** Set on further names of an inode, but not reliably: names with one `ino` are links of each other. */
  HARDLINK: 0x2,
  XATTR: 0x4,
  HAS_HOLE: 0x8,
} as const;

const MODE_TYPE_MASK = 0o170000;
const MODE_FILE = 0o100000;

/** An inode record and what follows it. There is one per name. Offsets are bytes from the start of the bootstrap. */
export interface V5Inode {
  /** 32 bytes over the content: see rafs.validate of nydusd. A view of the bootstrap. */
  readonly digest: Uint8Array;
  /** Number of the directory's inode; 0 for the root. */
  readonly parent: number;
  readonly ino: number;
  readonly uid: number;
  readonly gid: number;
  /** st_mode with the type bits. */
  readonly mode: number;
  readonly size: number;
  /** Bits of {@link V5_INODE_FLAGS}. */
  readonly flags: number;
  readonly nlink: number;
  /** For a directory: number (from 1) of the inode table row of its first child. */
  readonly childIndex: number;
  /** Children of a directory, chunks of a regular file. */
  readonly childCount: number;
  readonly rdev: number;
  readonly mtimeNanoseconds: number;
  /** Since 1970, negative before. */
  readonly mtimeSeconds: number;
  readonly name: ByteString;
  /** Target of a symlink, else empty. */
  readonly target: ByteString;
  readonly xattrs: ReadonlyMap<ByteString, Uint8Array>;
  /** Where the chunk records of a regular file start; `childCount` of them fit in the bootstrap. */
  readonly chunksOffset: number;
  /** First byte behind everything that belongs to the record. */
  readonly end: number;
}

/**
 * Reads an inode record with its name, link target and xattrs.
 *
 * @throws {RangeError} when any of it, or its chunk records, does not fit in `view`, or a number is beyond 2^53-1.
 * @see nydus rafs/src/metadata/layout/v5.rs, RafsV5Inode
 */
export function decodeV5Inode(view: DataView, offset: number): V5Inode {
  const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  const mode = view.getUint32(offset + 60, true);
  const flags = getSafeUint64(view, offset + 80);
  const childCount = view.getUint32(offset + 96, true);
  const nameStart = offset + V5_INODE_SIZE;
  const nameEnd = nameStart + view.getUint16(offset + 100, true);
  const targetStart = alignUp(nameEnd, V5_ALIGNMENT);
  const isSymlink = (flags & V5_INODE_FLAGS.SYMLINK) !== 0;
  const targetEnd = targetStart + (isSymlink ? view.getUint16(offset + 102, true) : 0);
  const xattrsStart = alignUp(targetEnd, V5_ALIGNMENT);
  requireFit(view, "name and link target", offset, xattrsStart);
  const { xattrs, end: chunksOffset } =
    (flags & V5_INODE_FLAGS.XATTR) === 0
      ? { xattrs: new Map<ByteString, Uint8Array>(), end: xattrsStart }
      : decodeV5Xattrs(view, bytes, xattrsStart);
  const chunkCount = (mode & MODE_TYPE_MASK) === MODE_FILE ? childCount : 0;
  const end = chunksOffset + chunkCount * CHUNK_RECORD_SIZE;
  requireFit(view, "chunk records", offset, end);
  return {
    digest: bytes.subarray(offset, offset + 32),
    parent: getSafeUint64(view, offset + 32),
    ino: getSafeUint64(view, offset + 40),
    uid: view.getUint32(offset + 48, true),
    gid: view.getUint32(offset + 52, true),
    mode,
    size: getSafeUint64(view, offset + 64),
    flags,
    nlink: view.getUint32(offset + 88, true),
    childIndex: view.getUint32(offset + 92, true),
    childCount,
    rdev: view.getUint32(offset + 104, true),
    mtimeNanoseconds: view.getUint32(offset + 108, true),
    mtimeSeconds: getSafeInt64(view, offset + 112),
    name: byteString(bytes, nameStart, nameEnd),
    target: byteString(bytes, targetStart, targetEnd),
    xattrs,
    chunksOffset,
    end,
  };
}

/** The xattrs at `offset`: u64 bytes of the pairs, then per pair u32 size, name, NUL, value. */
function decodeV5Xattrs(
  view: DataView,
  bytes: Uint8Array,
  offset: number,
): { readonly xattrs: Map<ByteString, Uint8Array>; readonly end: number } {
  const xattrs = new Map<ByteString, Uint8Array>();
  const start = offset + 8;
  const end = start + getSafeUint64(view, offset);
  requireFit(view, "xattrs", offset, end);
  for (let next = start; next < end; ) {
    const pairStart = next + 4;
    const pairEnd = pairStart + (pairStart <= end ? view.getUint32(next, true) : 0);
    const nul = bytes.subarray(pairStart, Math.min(pairEnd, end)).indexOf(0);
    if (pairEnd > end || nul === -1) throw new RangeError(`xattr at ${next} does not end before ${end}`);
    xattrs.set(byteString(bytes, pairStart, pairStart + nul), bytes.subarray(pairStart + nul + 1, pairEnd));
    next = pairEnd;
  }
  return { xattrs, end: alignUp(end, V5_ALIGNMENT) };
}

function requireFit(view: DataView, what: string, offset: number, end: number): void {
  if (end > view.byteLength) throw new RangeError(`${what} of the inode at ${offset} end at ${end}`);
}

function getSafeInt64(view: DataView, offset: number): number {
  const value = Number(view.getBigInt64(offset, true));
  if (!Number.isSafeInteger(value)) throw new RangeError(`i64 at ${offset} is beyond 2^53-1`);
  return value;
}
