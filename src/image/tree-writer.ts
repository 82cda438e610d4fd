import { alignUp, bytesOf, viewOf } from "../base/bytes.ts";
import { CHUNK_INDEX_ALIGNMENT, CHUNK_INDEX_SIZE, encodeChunkIndex } from "../format/erofs/chunk-index.ts";
import { encodeDeviceNumber } from "../format/erofs/device-number.ts";
import { DIRENT_SIZE, DIRENT_TYPES, encodeDirent } from "../format/erofs/dirent.ts";
import {
  CHUNK_FORMAT_INDEXES,
  EXTENDED_INODE_SIZE,
  encodeInode,
  INODE_LAYOUT,
} from "../format/erofs/inode.ts";
import { encodeXattrs, xattrCountOf } from "../format/erofs/xattr.ts";
import type { BlobNumbering } from "./blob-numbering.ts";
import { FILE_MODES } from "./file-mode.ts";
import type { RegularFile } from "./tree.ts";
import { BLOCK_SIZE, nidOf, type PlannedDirectory, type PlannedInode, type TreePlan } from "./tree-plan.ts";

const BLOCK_BITS = 12;

/** Largest extent that the 5 bits of a chunk format can state, as a power of two. */
const MAX_EXTENT_BITS = BLOCK_BITS + 31;

/** Where a planned tree is written. */
export interface TreeTarget {
  /** The whole image, zeroed where the tree goes. */
  readonly bytes: Uint8Array;
  /** First byte of the metadata area, a multiple of the block size. */
  readonly metaOffset: number;
  readonly numbering: BlobNumbering;
  readonly chunkSize: number;
}

/** Writes every inode of a plan with its content. */
export function writeTree(plan: TreePlan, target: TreeTarget): void {
  const view = viewOf(target.bytes);
  for (const planned of plan.inodes.values()) writeInode(planned, target, view);
  for (const directory of plan.directories) writeNames(directory, target, view);
}

function writeInode(planned: PlannedInode, target: TreeTarget, view: DataView): void {
  const { inode } = planned;
  const { bytes, metaOffset } = target;
  const offset = metaOffset + planned.offset;
  encodeInode(view, offset, {
    recordSize: EXTENDED_INODE_SIZE,
    layout: layoutOf(planned),
    unknownFormat: 0,
    xattrCount: xattrCountOf(planned.xattrsSize),
    mode: FILE_MODES[inode.type] | inode.mode,
    size: inode.type === "file" ? inode.size : planned.contentSize,
    union: unionOf(planned, target),
    ino: planned.ino,
    uid: inode.uid,
    gid: inode.gid,
    mtimeSeconds: inode.mtime.seconds,
    mtimeNanoseconds: inode.mtime.nanoseconds,
    nlink: planned.nlink,
  });
  encodeXattrs(view, offset + EXTENDED_INODE_SIZE, inode.xattrs);
  const bodyOffset = offset + EXTENDED_INODE_SIZE + planned.xattrsSize;
  if (inode.type === "symlink") {
    bytes.set(bytesOf(inode.target), planned.isInline ? bodyOffset : metaOffset + planned.contentOffset);
  }
  if (inode.type === "file") {
    const array = alignUp(bodyOffset, CHUNK_INDEX_ALIGNMENT);
    inode.chunks.forEach((chunk, k) => {
      encodeChunkIndex(view, array + k * CHUNK_INDEX_SIZE, {
        blobIndex: target.numbering.indexes[chunk.blobIndex] ?? -1,
        chunkIndex: chunk.index,
        startBlock: chunk.decodedOffset / BLOCK_SIZE,
      });
    });
  }
}

function layoutOf({ inode, isInline }: PlannedInode): number {
  if (inode.type === "file") return INODE_LAYOUT.CHUNKED;
  return isInline ? INODE_LAYOUT.INLINE : INODE_LAYOUT.PLAIN;
}

function unionOf({ inode, contentOffset }: PlannedInode, { metaOffset, chunkSize }: TreeTarget): number {
  switch (inode.type) {
    case "file":
      return CHUNK_FORMAT_INDEXES | (extentBits(inode, chunkSize) - BLOCK_BITS);
    case "dir":
    case "symlink":
      return Math.floor((metaOffset + contentOffset) / BLOCK_SIZE);
    case "char":
    case "block":
      return encodeDeviceNumber(inode);
    case "fifo":
    case "socket":
      return 0;
  }
}

/** log2 of the extent the kernel maps at once: the whole file when it lies in one piece, else a chunk. */
function extentBits(file: RegularFile, chunkSize: number): number {
  const chunkBits = Math.log2(chunkSize);
  if (file.size <= chunkSize || !isContiguous(file, chunkSize)) return chunkBits;
  const fileBits = Math.ceil(Math.log2(file.size));
  return fileBits <= MAX_EXTENT_BITS ? fileBits : chunkBits;
}

function isContiguous({ chunks }: RegularFile, chunkSize: number): boolean {
  const first = chunks[0];
  return chunks.every(
    (chunk, k) =>
      chunk.blobIndex === first?.blobIndex && chunk.decodedOffset === first.decodedOffset + k * chunkSize,
  );
}

function writeNames({ self, names, dirents }: PlannedDirectory, target: TreeTarget, view: DataView): void {
  const { bytes, metaOffset } = target;
  const inlineOffset = metaOffset + self.offset + EXTENDED_INODE_SIZE + self.xattrsSize;
  const lastBlock = dirents.blockStarts.length - 1;
  dirents.blockStarts.forEach((first, block) => {
    const end = dirents.blockStarts[block + 1] ?? names.length;
    const isInline = self.isInline && block === lastBlock;
    const start = isInline ? inlineOffset : metaOffset + self.contentOffset + block * BLOCK_SIZE;
    let nameOffset = (end - first) * DIRENT_SIZE;
    names.slice(first, end).forEach(({ name, target: child }, index) => {
      encodeDirent(view, start + index * DIRENT_SIZE, {
        nid: nidOf(child),
        nameOffset,
        fileType: DIRENT_TYPES[child.inode.type],
      });
      for (let at = 0; at < name.length; at++) bytes[start + nameOffset + at] = name.charCodeAt(at);
      nameOffset += name.length;
    });
  });
}
