import type { ByteString } from "../base/bytes.ts";
import { isCoded } from "../base/errors.ts";
import { DIRENT_TYPES } from "../format/erofs/dirent.ts";
import { decodeInode, type ErofsInode, INODE_LAYOUT, INODE_SLOT_SIZE } from "../format/erofs/inode.ts";
import { decodeXattrs, xattrAreaSize } from "../format/erofs/xattr.ts";
import { BOOTSTRAP_LIMITS } from "./bootstrap-limits.ts";
import { isLayoutOf } from "./bootstrap-view.ts";
import type { ChunkRecordCheck } from "./check-chunk-records.ts";
import type { CheckContext } from "./check-context.ts";
import { readDirentBlock } from "./check-directory.ts";
import { checkFile, chunkArraySpan } from "./check-file.ts";
import { fileTypeOfMode } from "./file-mode.ts";
import { type FindingCode, type Place, pathOf } from "./finding.ts";
import type { FileType } from "./tree.ts";

/** An inode that was reached. */
interface SeenInode {
  readonly type: FileType;
  readonly nlink: number;
  readonly place: Place;
  /** Names that lead to it; for a directory 2 and its sub-directories. */
  links: number;
}

interface PendingDirectory {
  readonly nid: number;
  readonly parentNid: number;
  readonly inode: ErofsInode;
  readonly bodyOffset: number;
  readonly place: Place;
  readonly depth: number;
}

/** Walks the tree of a v6 bootstrap once and reports what is wrong with inodes, directories and files. */
export class TreeCheck {
  readonly #context: CheckContext;
  readonly #records: ChunkRecordCheck;
  readonly #seen = new Map<number, SeenInode>();
  readonly #pending: PendingDirectory[] = [];
  #names = 1;
  /** An honest image has a byte of its own for all that its inodes claim, so the walk ends in time. */
  #unclaimedBytes: number;

  constructor(context: CheckContext, records: ChunkRecordCheck) {
    this.#context = context;
    this.#records = records;
    this.#unclaimedBytes = context.bytes.length;
  }

  /** Walks everything that can be reached from the root. */
  walk(): void {
    const { superblock, findings } = this.#context;
    const rootPlace: Place = { name: "", parent: undefined };
    const root = this.#visit(superblock.rootNid, superblock.rootNid, rootPlace, 0);
    if (root !== undefined && root.type !== "dir") {
      findings.add("root-invalid", "/", `the root is a ${root.type}`);
    }
    for (let next = this.#pending.pop(); next !== undefined; next = this.#pending.pop()) {
      if (findings.isFull || this.#unclaimedBytes < 0) return;
      this.#checkDirectory(next);
    }
    this.#checkLinks();
    if (this.#names > superblock.inodeCount) {
      const what = `${this.#names} names are over the count of ${superblock.inodeCount}`;
      findings.add("inode-count-too-small", "superblock", what);
    }
  }

  /** True when `nid` was reached. */
  has(nid: number): boolean {
    return this.#seen.has(nid);
  }

  #add(code: FindingCode, place: Place, message: string): void {
    this.#context.findings.add(code, pathOf(place), message);
  }

  #visit(nid: number, parentNid: number, place: Place, depth: number): SeenInode | undefined {
    const { bytes, view, metaOffset } = this.#context;
    const offset = metaOffset + nid * INODE_SLOT_SIZE;
    const recordSize = offset + 2 <= bytes.length && (view.getUint8(offset) & 1) === 0 ? 32 : 64;
    if (offset + recordSize > bytes.length) {
      this.#add("inode-outside-image", place, `inode ${nid} at ${offset} lies outside the image`);
      return undefined;
    }
    let inode: ErofsInode;
    try {
      inode = decodeInode(view, offset);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      this.#add("number-too-large", place, error.message);
      return undefined;
    }
    const bodyOffset = offset + inode.recordSize + xattrAreaSize(inode.xattrCount);
    if (bodyOffset > bytes.length) {
      this.#add("inode-outside-image", place, `inode ${nid} ends at ${bodyOffset}, outside the image`);
      return undefined;
    }
    const type = fileTypeOfMode(inode.mode);
    if (type === undefined) {
      this.#add("inode-type-invalid", place, `mode 0${inode.mode.toString(8)} has no type`);
      return undefined;
    }
    const seen: SeenInode = { type, nlink: inode.nlink, place, links: type === "dir" ? 2 : 1 };
    this.#seen.set(nid, seen);
    if (!this.#claim(bodyOffset - offset, place)) return seen;
    this.#checkFields(inode, type, place);
    this.#checkXattrs(inode, offset + inode.recordSize, place);
    this.#checkContent(inode, type, bodyOffset, { nid, parentNid, place, depth });
    return seen;
  }

  #checkFields(inode: ErofsInode, type: FileType, place: Place): void {
    if (inode.unknownFormat !== 0) {
      this.#add("inode-format-invalid", place, `format bits 0x${inode.unknownFormat.toString(16)}`);
    }
    if (!isLayoutOf(type, inode.layout)) {
      this.#add("inode-layout-invalid", place, `layout ${inode.layout} of a ${type}`);
    }
    if (inode.nlink === 0) this.#add("inode-nlink-zero", place, "0 links");
    if (inode.mtimeNanoseconds >= 1e9)
      this.#add("inode-mtime-invalid", place, `${inode.mtimeNanoseconds} ns`);
    if (inode.ino >= 2 ** 31) this.#add("inode-ino-invalid", place, `inode number ${inode.ino}`);
  }

  #checkXattrs(inode: ErofsInode, offset: number, place: Place): void {
    try {
      decodeXattrs(this.#context.view, offset, xattrAreaSize(inode.xattrCount));
    } catch (error) {
      if (!(error instanceof RangeError) && !isCoded(error)) throw error;
      this.#add("xattrs-invalid", place, error.message);
    }
  }

  #checkContent(
    inode: ErofsInode,
    type: FileType,
    bodyOffset: number,
    at: { readonly nid: number; readonly parentNid: number; readonly place: Place; readonly depth: number },
  ): void {
    const { bytes } = this.#context;
    const { place, depth } = at;
    if (type === "file") {
      if (inode.layout !== INODE_LAYOUT.CHUNKED) return;
      const { size } = chunkArraySpan(this.#context, inode, bodyOffset);
      if (bodyOffset + size > bytes.length) {
        this.#add("chunk-array-outside-image", place, `the chunk array ends at ${bodyOffset + size}`);
      } else if (this.#claim(size, place)) {
        checkFile(this.#context, this.#records, inode, bodyOffset, place);
      }
    } else if (type === "symlink") {
      this.#checkTarget(inode, bodyOffset, place);
    } else if (type === "dir") {
      if (inode.size === 0 || inode.size > bytes.length) {
        this.#add("directory-size-invalid", place, `directory of ${inode.size} bytes`);
      } else if (depth > BOOTSTRAP_LIMITS.depth) {
        this.#add("limit-exceeded", place, `over ${BOOTSTRAP_LIMITS.depth} directories deep`);
      } else if (this.#claim(inode.size, place)) {
        this.#pending.push({ ...at, inode, bodyOffset });
      }
    }
  }

  #checkTarget(inode: ErofsInode, bodyOffset: number, place: Place): void {
    const { size } = inode;
    if (size === 0 || size > BOOTSTRAP_LIMITS.targetLength) {
      this.#add("symlink-target-invalid", place, `link target of ${size} bytes`);
      return;
    }
    if (!this.#claim(size, place)) return;
    for (let number = 0; number * this.#context.blockSize < size; number++) {
      const content = this.#contentBlock(inode, bodyOffset, number, place);
      if (content === undefined) return;
      if (this.#context.bytes.subarray(content.start, content.start + content.length).includes(0)) {
        this.#add("symlink-target-invalid", place, "the link target holds a NUL");
      }
    }
  }

  /** Block `number` of a directory or symlink, when it lies where it may. */
  #contentBlock(
    inode: ErofsInode,
    bodyOffset: number,
    number: number,
    place: Place,
  ): { readonly start: number; readonly length: number } | undefined {
    const { blockSize, bytes } = this.#context;
    const length = Math.min(blockSize, inode.size - number * blockSize);
    const isInline = inode.layout === INODE_LAYOUT.INLINE && length < blockSize;
    const start = isInline ? bodyOffset : (inode.union + number) * blockSize;
    if (start + length > bytes.length) {
      this.#add("content-outside-image", place, `block ${number} at ${start} lies outside the image`);
      return undefined;
    }
    if (isInline && (start % blockSize) + length > blockSize) {
      this.#add("inline-crosses-block", place, `${length} inline bytes at ${start} cross a block boundary`);
    }
    return { start, length };
  }

  #checkDirectory(directory: PendingDirectory): void {
    const { inode, bodyOffset, place, nid, parentNid } = directory;
    const { blockSize, findings } = this.#context;
    let previous: ByteString = "";
    const dots = { ".": nid, "..": parentNid };
    const missing = new Set<ByteString>(Object.keys(dots));
    for (let number = 0; number * blockSize < inode.size && !findings.isFull; number++) {
      const content = this.#contentBlock(inode, bodyOffset, number, place);
      if (content === undefined) return;
      for (const found of readDirentBlock(this.#context, content.start, content.length)) {
        if (findings.isFull || this.#unclaimedBytes < 0) return;
        if (found.kind === "fault") {
          this.#add(found.code, place, `block ${number}: ${found.message}`);
          continue;
        }
        const { name, dirent } = found;
        // Lookups search by halving: a name out of order is listed, but never found. Covers duplicates.
        if (name <= previous) {
          this.#add("dirent-order-invalid", { name, parent: place }, "is not above the name before it");
        }
        previous = name;
        if (name === "." || name === "..") {
          missing.delete(name);
          if (dirent.nid !== dots[name]) {
            this.#add("dot-wrong", place, `${name} is inode ${dirent.nid}, expected ${dots[name]}`);
          }
        } else {
          this.#checkName(name, dirent.nid, dirent.fileType, directory);
        }
      }
    }
    for (const name of missing) this.#add("dot-missing", place, `there is no ${name}`);
  }

  #checkName(name: ByteString, nid: number, fileType: number, directory: PendingDirectory): void {
    const place: Place = { name, parent: directory.place };
    this.#names++;
    // nid 0 hides from readdir and makes nydusd stop.
    if (nid === 0) {
      this.#add("dirent-nid-invalid", place, "nid 0");
      return;
    }
    const known = this.#seen.get(nid);
    if (known?.type === "dir") {
      this.#add("directory-found-twice", place, `is ${pathOf(known.place)} too`);
      return;
    }
    if (known !== undefined) known.links++;
    const inode = known ?? this.#visit(nid, directory.nid, place, directory.depth + 1);
    if (inode === undefined) return;
    if (inode.type === "dir") {
      const parent = this.#seen.get(directory.nid);
      if (parent !== undefined) parent.links++;
    }
    if (fileType !== 0 && fileType !== DIRENT_TYPES[inode.type]) {
      this.#add("dirent-type-mismatch", place, `is a ${inode.type}, but type ${fileType} in its directory`);
    }
  }

  /** Links of symlinks and devices may lie under several nids, each with the count of all. */
  #checkLinks(): void {
    for (const { type, nlink, links, place } of this.#seen.values()) {
      if ((type === "file" || type === "dir") && nlink !== links && nlink !== 0) {
        this.#add("inode-nlink-mismatch", place, `${nlink} links recorded, ${links} found`);
      }
    }
  }

  #claim(size: number, place: Place): boolean {
    if (this.#unclaimedBytes < 0) return false;
    this.#unclaimedBytes -= size;
    if (this.#unclaimedBytes >= 0) return true;
    this.#add("inodes-overlap", place, "all inodes together are larger than the image");
    return false;
  }
}
