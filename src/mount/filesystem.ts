import type { ByteString } from "../base/bytes.ts";
import { SUPER_FLAGS } from "../format/rafs/features.ts";
import type { BootstrapView, Dentry, InodeRecord } from "../image/bootstrap-view.ts";
import { FILE_MODES } from "../image/file-mode.ts";

/** What stat(2) shows of an inode. Sizes are bytes. */
export interface FileAttributes {
  readonly ino: number;
  readonly size: number;
  /** Units of 512 bytes. */
  readonly blocks: number;
  /** Since 1970, negative before. */
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

/** In the place of a chunk: bytes that no chunk has, which are zeros. */
export const PADDING = -1;

/** A part of one chunk that a read needs. */
export interface ChunkPiece {
  /** Row of the blob table. */
  readonly blobIndex: number;
  /** Position in the chunk table of the blob, or {@link PADDING}. */
  readonly chunkIndex: number;
  /** First byte, from the start of the decoded chunk. */
  readonly offset: number;
  readonly length: number;
}

/** What a read gives: the pieces, in order, make `length` bytes. */
export interface ReadPlan {
  readonly length: number;
  readonly pieces: readonly ChunkPiece[];
}

/** What statfs(2) shows. */
export interface FilesystemSize {
  /** Units of `blockSize`: the decoded bytes of all blobs. */
  readonly blocks: number;
  readonly blockSize: number;
  readonly files: number;
  readonly nameLength: number;
}

/** d_type by the number EROFS has for it. */
const DIRECTORY_ENTRY_TYPES = [0, 8, 4, 2, 6, 1, 12, 10];

/** Inodes kept decoded; a directory walk meets each a few times in a row. */
const INODES_KEPT = 4096;

/**
 * One image as a read-only filesystem: names, attributes and where the bytes of a read lie. It reads no chunk.
 *
 * Inodes are named by nid. Every method throws a CodedError with ERR_BOOTSTRAP_CORRUPT when the image makes no sense
 * at the place it touches.
 */
export class Filesystem {
  readonly rootNid: number;
  /** `st_ino` is this and the nid. */
  readonly firstIno: number;
  /** False when the image says that no inode has extended attributes, which spares the kernel asking for each. */
  readonly hasXattrs: boolean;
  readonly #view: BootstrapView;
  readonly #inodes = new Map<number, InodeRecord>();

  constructor(view: BootstrapView, firstIno = 0) {
    this.#view = view;
    this.firstIno = firstIno;
    this.rootNid = view.rootNid;
    this.hasXattrs = (view.flags & SUPER_FLAGS.HAS_XATTR) !== 0;
  }

  attributes(nid: number): FileAttributes {
    const { size, mtimeSeconds, mtimeNanoseconds, mode, nlink, uid, gid, rdev } = this.#inode(nid);
    const blocks = Math.ceil(size / 512);
    const ino = this.firstIno + nid;
    return { ino, size, blocks, mtimeSeconds, mtimeNanoseconds, mode, nlink, uid, gid, rdev };
  }

  /** The inode that `name` stands for in a directory; undefined when there is no such name. */
  lookup(directory: number, name: ByteString): number | undefined {
    return this.#view.lookup(this.#inode(directory), name);
  }

  /**
   * The names of a directory, `.` and `..` among them, from a position on: 0, or the `nextPosition` of a name.
   * Positions stay good for ever, so nothing is kept between two calls.
   */
  entriesFrom(directory: number, position: number): Iterable<Dentry> {
    return this.#view.entriesFrom(this.#inode(directory), position);
  }

  /** d_type of a name: the type bits of st_mode, shifted right by 12. */
  entryType(entry: Dentry): number {
    // An image need not record types; readdir(3) callers fare better with the truth than with "unknown".
    return DIRECTORY_ENTRY_TYPES[entry.fileType] || this.#inode(entry.nid).mode >>> 12;
  }

  /** Target of a symbolic link. */
  readlink(nid: number): Uint8Array {
    return this.#view.readlink(this.#inode(nid));
  }

  /** Value of an extended attribute by its full name; POSIX ACLs are in the form of xattr(7). */
  xattr(nid: number, name: ByteString): Uint8Array | undefined {
    return this.xattrs(nid).get(name);
  }

  /** All extended attributes by their full names. */
  xattrs(nid: number): ReadonlyMap<ByteString, Uint8Array> {
    const inode = this.#inode(nid);
    return inode.xattrBytes === 0 ? NO_XATTRS : this.#view.xattrs(inode);
  }

  size(): FilesystemSize {
    const blockSize = 4096;
    const decoded = this.#view.blobRows.reduce((sum, blob) => sum + blob.decodedSize, 0);
    const files = this.#view.inodeCount;
    return { blocks: Math.ceil(decoded / blockSize), blockSize, files, nameLength: 255 };
  }

  /**
   * Which pieces of which chunks make up bytes `[offset, offset + size)` of a regular file. The end of the file cuts
   * the read short, as in read(2); anything but a regular file is empty.
   */
  plan(nid: number, offset: number, size: number): ReadPlan {
    const inode = this.#inode(nid);
    const isFile = (inode.mode & FILE_MODES.mask) === FILE_MODES.file;
    const length = isFile ? Math.max(0, Math.min(size, inode.size - offset)) : 0;
    const { chunkSize } = this.#view;
    const pieces: ChunkPiece[] = [];
    for (let done = 0; done < length; ) {
      const at = offset + done;
      const number = Math.floor(at / chunkSize);
      const start = at - number * chunkSize;
      const pieceLength = Math.min(chunkSize - start, length - done);
      const { blobIndex, chunkIndex } = this.#view.chunkIndex(inode, number) ?? HOLE;
      pieces.push({ blobIndex, chunkIndex, offset: start, length: pieceLength });
      done += pieceLength;
    }
    return { length, pieces };
  }

  #inode(nid: number): InodeRecord {
    const kept = this.#inodes.get(nid);
    if (kept !== undefined) return kept;
    const inode = this.#view.inode(nid);
    if (this.#inodes.size >= INODES_KEPT) this.#inodes.clear();
    this.#inodes.set(nid, inode);
    return inode;
  }
}

/** Blob 0 is there whenever a file has chunks. */
const HOLE = { blobIndex: 0, chunkIndex: PADDING } as const;

const NO_XATTRS: ReadonlyMap<ByteString, Uint8Array> = new Map();
