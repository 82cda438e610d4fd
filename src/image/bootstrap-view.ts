import { alignUp, type ByteString, viewOf } from "../base/bytes.ts";
import {
  CHUNK_INDEX_ALIGNMENT,
  CHUNK_INDEX_SIZE,
  type ChunkIndex,
  decodeChunkIndex,
  NULL_START_BLOCK,
} from "../format/erofs/chunk-index.ts";
import {
  decodeInode,
  type ErofsInode,
  EXTENDED_INODE_SIZE,
  INODE_LAYOUT,
  INODE_SLOT_SIZE,
} from "../format/erofs/inode.ts";
import { decodeXattrs, xattrAreaSize } from "../format/erofs/xattr.ts";
import type { BlobRecord } from "../format/rafs/blob-record.ts";
import { corruptInode, inodeDecodeError } from "./bootstrap-error.ts";
import { type BootstrapHeader, type HeaderOptions, readBootstrapHeader } from "./bootstrap-header.ts";
import { BOOTSTRAP_LIMITS } from "./bootstrap-limits.ts";
import { DirentBlock, POSITIONS_PER_BLOCK } from "./dirent-block.ts";
import { FILE_MODES, fileTypeOfMode } from "./file-mode.ts";
import type { FileType } from "./tree.ts";

/** An inode as it lies in the bootstrap. */
export interface InodeRecord {
  /** Number of the inode: what `st_ino` shows. */
  readonly nid: number;
  /** First byte of the record in the bootstrap. */
  readonly offset: number;
  /** First byte behind record and xattrs: the inline content, or the chunk array after alignment. */
  readonly bodyOffset: number;
  /** st_mode with the type bits. */
  readonly mode: number;
  readonly size: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  /** Since 1970, negative before. */
  readonly mtimeSeconds: number;
  readonly mtimeNanoseconds: number;
  /** Device number in the kernel's 32-bit form; 0 for what is no device. */
  readonly rdev: number;
  /** The serial number the builder gave; not unique, for display only. */
  readonly ino: number;
  /** One of INODE_LAYOUT. */
  readonly layout: number;
  /** Block address, chunk format or device number, by type and layout. */
  readonly union: number;
  /** Bytes of the xattr area, 0 without xattrs. */
  readonly xattrBytes: number;
}

/** A name in a directory. */
export interface Dentry {
  readonly name: ByteString;
  readonly nid: number;
  /** One of DIRENT_TYPES, or 0 where the image does not say. */
  readonly fileType: number;
  /** Where {@link BootstrapView.entriesFrom} goes on behind this name; above 0. */
  readonly nextPosition: number;
}

/**
 * Random access to a v6 bootstrap that stays as bytes: what a mount answers from.
 *
 * Opening takes the time of the blob table only; each call checks exactly what it touches, so a damaged inode harms
 * nobody else. `bytes` may lie in a SharedArrayBuffer and must not change.
 * Every method throws a CodedError with ERR_BOOTSTRAP_CORRUPT when it meets bytes that make no sense.
 */
export class BootstrapView {
  /** Super-blocks, blob table and device table, checked. */
  readonly header: BootstrapHeader;
  readonly rootNid: number;
  readonly chunkSize: number;
  readonly blockSize: number;
  /** Names in the tree as the super-block counts them. */
  readonly inodeCount: number;
  readonly blobRows: readonly BlobRecord[];
  /** Bits of SUPER_FLAGS. */
  readonly flags: number;
  /** First byte of the metadata area: an inode lies at `metaOffset + nid * 32`. */
  readonly metaOffset: number;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #buildSeconds: number;
  readonly #buildNanoseconds: number;

  /**
   * @throws {CodedError} ERR_BOOTSTRAP_CORRUPT; ERR_FEATURE_UNSUPPORTED, naming the feature.
   */
  constructor(bytes: Uint8Array, options: HeaderOptions = {}) {
    this.header = readBootstrapHeader(bytes, options);
    const { superblock, extended, blobs } = this.header;
    this.#bytes = bytes;
    this.#view = viewOf(bytes);
    this.rootNid = superblock.rootNid;
    this.chunkSize = extended.chunkSize;
    this.blockSize = 2 ** superblock.blockBits;
    this.inodeCount = superblock.inodeCount;
    this.blobRows = blobs;
    this.flags = extended.flags;
    this.metaOffset = superblock.metaStartBlock * this.blockSize;
    this.#buildSeconds = superblock.buildSeconds;
    this.#buildNanoseconds = superblock.buildNanoseconds;
  }

  /** The inode `nid`, whose type, layout and place were checked. */
  inode(nid: number): InodeRecord {
    const offset = this.metaOffset + nid * INODE_SLOT_SIZE;
    if (!(nid > 0 && offset + INODE_SLOT_SIZE <= this.#bytes.length)) {
      throw corruptInode(nid, "lies outside the image");
    }
    let inode: ErofsInode;
    try {
      inode = decodeInode(this.#view, offset);
    } catch (error) {
      throw inodeDecodeError(nid, error);
    }
    const type = fileTypeOfMode(inode.mode);
    const isDevice = type === "char" || type === "block";
    const xattrBytes = xattrAreaSize(inode.xattrCount);
    const bodyOffset = offset + inode.recordSize + xattrBytes;
    if (bodyOffset > this.#bytes.length) throw corruptInode(nid, "ends outside the image");
    if (type === undefined) throw corruptInode(nid, `mode 0${inode.mode.toString(8)} has no type`);
    if (inode.unknownFormat !== 0 || !isLayoutOf(type, inode.layout)) {
      throw corruptInode(nid, `layout ${inode.layout} and format bits ${inode.unknownFormat} of a ${type}`);
    }
    if (inode.nlink === 0) throw corruptInode(nid, "0 links");
    if (inode.mtimeNanoseconds >= 1e9) throw corruptInode(nid, `${inode.mtimeNanoseconds} ns`);
    const hasTime = inode.recordSize === EXTENDED_INODE_SIZE;
    return {
      nid,
      offset,
      bodyOffset,
      mode: inode.mode,
      size: inode.size,
      nlink: inode.nlink,
      uid: inode.uid,
      gid: inode.gid,
      mtimeSeconds: hasTime ? inode.mtimeSeconds : this.#buildSeconds,
      mtimeNanoseconds: hasTime ? inode.mtimeNanoseconds : this.#buildNanoseconds,
      rdev: isDevice ? inode.union : 0,
      ino: inode.ino,
      layout: inode.layout,
      union: inode.union,
      xattrBytes,
    };
  }

  /** The nid that `name` stands for in `directory`; undefined when there is no such name. `.` and `..` are names. */
  lookup(directory: InodeRecord, name: ByteString): number | undefined {
    const blockCount = this.#direntBlockCount(directory);
    let block: DirentBlock | undefined;
    // The last block whose first name is not above the wanted one.
    let low = 0;
    let high = blockCount - 1;
    while (low <= high) {
      const middle = (low + high) >>> 1;
      const candidate = this.#direntBlock(directory, middle);
      if (candidate.compare(0, name) <= 0) {
        block = candidate;
        low = middle + 1;
      } else {
        high = middle - 1;
      }
    }
    const index = block?.find(name);
    return block === undefined || index === undefined ? undefined : block.nid(index);
  }

  /** Every name of `directory` in stored order, which is that of the bytes; `.` and `..` are among them. */
  entries(directory: InodeRecord): Iterable<Dentry> {
    return this.entriesFrom(directory, 0);
  }

  /**
   * The names from `position` on: 0 for the first, else the `nextPosition` of an earlier name.
   * Positions are the same in every process and for ever; one that never was lists nothing or starts at the name after.
   */
  *entriesFrom(directory: InodeRecord, position: number): Generator<Dentry, void, undefined> {
    const blockCount = this.#direntBlockCount(directory);
    // Positions come back from programs, through telldir and seekdir.
    if (!Number.isSafeInteger(position) || position < 0) return;
    let index = position % POSITIONS_PER_BLOCK;
    for (let number = Math.floor(position / POSITIONS_PER_BLOCK); number < blockCount; number++) {
      const block = this.#direntBlock(directory, number);
      for (; index < block.count; index++) {
        yield {
          name: block.name(index),
          nid: block.nid(index),
          fileType: block.fileType(index),
          nextPosition: number * POSITIONS_PER_BLOCK + index + 1,
        };
      }
      index = 0;
    }
  }

  /** The target of a symlink, 1 to 4095 bytes, as a view of the bootstrap. */
  readlink(inode: InodeRecord): Uint8Array {
    const { nid, size } = inode;
    if (fileTypeOfMode(inode.mode) !== "symlink") throw corruptInode(nid, "is no symlink");
    if (size === 0 || size > BOOTSTRAP_LIMITS.targetLength) {
      throw corruptInode(nid, `link target of ${size} bytes, expected 1 to ${BOOTSTRAP_LIMITS.targetLength}`);
    }
    if (size <= this.blockSize) return this.#contentBlock(inode, 0);
    const target = new Uint8Array(size);
    for (let block = 0; block * this.blockSize < size; block++) {
      target.set(this.#contentBlock(inode, block), block * this.blockSize);
    }
    return target;
  }

  /** Full names (`user.a`) to values, which are views of the bootstrap. */
  xattrs(inode: InodeRecord): Map<ByteString, Uint8Array> {
    const { nid, bodyOffset, xattrBytes } = inode;
    try {
      return decodeXattrs(this.#view, bodyOffset - xattrBytes, xattrBytes);
    } catch (error) {
      throw inodeDecodeError(nid, error);
    }
  }

  /** How many chunks a regular file has; their array was found to lie inside the image. */
  chunkCount(inode: InodeRecord): number {
    // By the chunk size of the image: the one in `union` may be that of a larger, contiguous extent.
    const count = Math.ceil(inode.size / this.chunkSize);
    if (chunkArrayOffset(inode) + count * CHUNK_INDEX_SIZE > this.#bytes.length) {
      throw corruptInode(inode.nid, `${count} chunk indexes end outside the image`);
    }
    return count;
  }

  /**
   * Where chunk `k` (bytes from `k * chunkSize` on) of a regular file lies; the blob exists and has so many chunks.
   * `undefined` for a hole, as the kernel sees it: whatever blob and chunk stand beside the null address.
   *
   * @throws {RangeError} when the file has no chunk `k`.
   */
  chunkIndex(inode: InodeRecord, k: number): ChunkIndex | undefined {
    if (!(k >= 0 && k < this.chunkCount(inode))) throw new RangeError(`inode ${inode.nid} has no chunk ${k}`);
    const index = decodeChunkIndex(this.#view, chunkArrayOffset(inode) + k * CHUNK_INDEX_SIZE);
    if (index.startBlock === NULL_START_BLOCK) return undefined;
    const blob = this.blobRows[index.blobIndex];
    if (blob === undefined) {
      throw corruptInode(inode.nid, `chunk ${k} is in blob ${index.blobIndex} of ${this.blobRows.length}`);
    }
    if (index.chunkIndex >= blob.chunkCount) {
      throw corruptInode(
        inode.nid,
        `chunk ${k} is chunk ${index.chunkIndex} of ${blob.chunkCount} in blob ${index.blobIndex}`,
      );
    }
    return index;
  }

  #direntBlockCount(directory: InodeRecord): number {
    const { mode, size, nid } = directory;
    if ((mode & FILE_MODES.mask) !== FILE_MODES.dir) throw corruptInode(nid, "is no directory");
    if (size === 0 || size > this.#bytes.length) throw corruptInode(nid, `directory of ${size} bytes`);
    return Math.ceil(size / this.blockSize);
  }

  #direntBlock(directory: InodeRecord, number: number): DirentBlock {
    const start = this.#contentStart(directory, number);
    const length = Math.min(this.blockSize, directory.size - number * this.blockSize);
    return new DirentBlock(this.#bytes, this.#view, start, length, directory.nid);
  }

  /** Block `number` of a symlink's target; the last one may be shorter. */
  #contentBlock(inode: InodeRecord, number: number): Uint8Array {
    const start = this.#contentStart(inode, number);
    return this.#bytes.subarray(
      start,
      start + Math.min(this.blockSize, inode.size - number * this.blockSize),
    );
  }

  /** First byte of block `number` of the content of a directory or symlink; the block lies inside the image. */
  #contentStart(inode: InodeRecord, number: number): number {
    const { blockSize } = this;
    const length = Math.min(blockSize, inode.size - number * blockSize);
    const isInline = inode.layout === INODE_LAYOUT.INLINE && length < blockSize;
    const start = isInline ? inode.bodyOffset : (inode.union + number) * blockSize;
    if (start + length > this.#bytes.length) {
      throw corruptInode(inode.nid, `block ${number} at ${start} lies outside the image`);
    }
    return start;
  }
}

function chunkArrayOffset(inode: InodeRecord): number {
  return alignUp(inode.bodyOffset, CHUNK_INDEX_ALIGNMENT);
}

/** True when an inode of a type may have a layout (INODE_LAYOUT) in RAFS v6. */
export function isLayoutOf(type: FileType, layout: number): boolean {
  if (type === "file") return layout === INODE_LAYOUT.CHUNKED;
  if (type === "dir" || type === "symlink")
    return layout === INODE_LAYOUT.PLAIN || layout === INODE_LAYOUT.INLINE;
  return layout === INODE_LAYOUT.PLAIN;
}
