import { alignUp, type ByteString } from "../base/bytes.ts";
import { CodedError } from "../base/errors.ts";
import { CHUNK_INDEX_ALIGNMENT, CHUNK_INDEX_SIZE } from "../format/erofs/chunk-index.ts";
import { EXTENDED_INODE_SIZE, INODE_SLOT_SIZE } from "../format/erofs/inode.ts";
import { sizeXattrs } from "../format/erofs/xattr.ts";
import { BOOTSTRAP_LIMITS } from "./bootstrap-limits.ts";
import { type DirentLayout, layoutDirents } from "./dirent-layout.ts";
import { checkInode, checkName } from "./inode-check.ts";
import { Placement } from "./placement.ts";
import type { Directory, Inode } from "./tree.ts";

/** Bytes of a block. */
export const BLOCK_SIZE = 4096;

/**
 * Metadata the first inode leaves free. The root must not be nid 0, which readdir hides, and the root's nid is stored
 * in 16 bits; nydus uses this hole of one block, so the root is always nid 128.
 */
export const FIRST_INODE_OFFSET = 4096;

/** An inode of the tree with its number and its place. Offsets are bytes from the start of the metadata area. */
export interface PlannedInode {
  readonly inode: Inode;
  readonly path: ByteString;
  /** Serial number from 1. */
  readonly ino: number;
  /** Bytes of the xattr area. */
  readonly xattrsSize: number;
  nlink: number;
  offset: number;
  /** Bytes of the content of a directory or symlink. */
  contentSize: number;
  contentOffset: number;
  isInline: boolean;
}

/** A name of a directory with what it leads to. */
export interface PlannedName {
  readonly name: ByteString;
  readonly target: PlannedInode;
}

/** A directory with its names in stored order, `.` and `..` among them. */
export interface PlannedDirectory {
  readonly self: PlannedInode;
  readonly names: readonly PlannedName[];
  readonly dirents: DirentLayout;
}

/** Every inode with its place, in the order nydus numbers and writes them. */
export interface TreePlan {
  readonly root: PlannedInode;
  /** Every inode once; the root first. */
  readonly inodes: ReadonlyMap<Inode, PlannedInode>;
  readonly directories: readonly PlannedDirectory[];
  /** Every name that leads to something, the root's too, in order; a hard link comes up once per name. */
  readonly names: readonly PlannedInode[];
  /** Bytes that inodes and directories take from the start of the metadata area. */
  readonly end: number;
}

/** The nid of an inode: its slot number. */
export function nidOf(planned: PlannedInode): number {
  return planned.offset / INODE_SLOT_SIZE;
}

/**
 * Numbers and places every inode of a tree.
 *
 * Order is that of nydus: the root; then of a directory all children by name, then each of its directories in turn. A
 * directory takes its place when it is entered, everything else when it is met.
 *
 * @throws {CodedError} ERR_IMAGE_INVALID for a tree that makes no sense, ERR_LIMIT_EXCEEDED and
 *   ERR_FEATURE_UNSUPPORTED for one that RAFS v6 cannot hold.
 */
export function planTree(root: Directory, chunkSize: number): TreePlan {
  return new Planner(chunkSize).plan(root);
}

/** A directory that waits to be entered. */
interface PendingDirectory {
  readonly directory: Directory;
  readonly self: PlannedInode;
  readonly parent: PlannedInode;
  readonly depth: number;
}

class Planner {
  readonly #chunkSize: number;
  readonly #placement = new Placement(BLOCK_SIZE, FIRST_INODE_OFFSET);
  readonly #inodes = new Map<Inode, PlannedInode>();
  readonly #names: PlannedInode[] = [];
  readonly #directories: PlannedDirectory[] = [];
  readonly #pending: PendingDirectory[] = [];
  #pathBytes = 0;

  constructor(chunkSize: number) {
    this.#chunkSize = chunkSize;
  }

  plan(directory: Directory): TreePlan {
    const root = this.#add(directory, "/");
    this.#pending.push({ directory, self: root, parent: root, depth: 0 });
    for (let next = this.#pending.pop(); next !== undefined; next = this.#pending.pop()) this.#enter(next);
    return {
      root,
      inodes: this.#inodes,
      directories: this.#directories,
      names: this.#names,
      end: this.#placement.end,
    };
  }

  #enter({ directory, self, parent, depth }: PendingDirectory): void {
    const sorted = [...directory.children.keys(), ".", ".."].sort();
    const dirents = layoutDirents(sorted, BLOCK_SIZE);
    self.contentSize = dirents.size;
    Object.assign(
      self,
      this.#placement.placeWithContent(EXTENDED_INODE_SIZE + self.xattrsSize, dirents.size),
    );

    const names: PlannedName[] = [];
    const inner: PendingDirectory[] = [];
    const prefix = self === parent ? "/" : `${self.path}/`;
    for (const name of sorted) {
      const child = directory.children.get(name);
      if (child === undefined) {
        names.push({ name, target: name === "." ? self : parent });
        continue;
      }
      const path = prefix + name;
      checkName(name, path);
      this.#pathBytes += path.length;
      const target = this.#meet(child, path);
      if (child.type === "dir")
        inner.push({ directory: child, self: target, parent: self, depth: depth + 1 });
      names.push({ name, target });
    }
    self.nlink = 2 + inner.length;
    const { pathBytes } = BOOTSTRAP_LIMITS;
    if (this.#pathBytes > pathBytes) {
      throw new CodedError("ERR_LIMIT_EXCEEDED", `a tree whose paths are over ${pathBytes} bytes together`);
    }
    if (inner.length > 0 && depth >= BOOTSTRAP_LIMITS.depth) {
      throw new CodedError(
        "ERR_LIMIT_EXCEEDED",
        `a tree of more than ${BOOTSTRAP_LIMITS.depth} directories below each other`,
      );
    }
    this.#directories.push({ self, names, dirents });
    // The last one pushed is entered first.
    for (const pending of inner.reverse()) this.#pending.push(pending);
  }

  /** The plan of a child: a new one, or for a further name of a hard link the one it has. */
  #meet(inode: Inode, path: ByteString): PlannedInode {
    const known = this.#inodes.get(inode);
    if (known === undefined) {
      const planned = this.#add(inode, path);
      if (inode.type !== "dir") this.#place(planned);
      return planned;
    }
    if (inode.type === "dir") {
      throw new CodedError("ERR_IMAGE_INVALID", `${JSON.stringify(path)}: directory in a second place`);
    }
    known.nlink++;
    this.#names.push(known);
    return known;
  }

  #add(inode: Inode, path: ByteString): PlannedInode {
    checkInode(inode, path, this.#chunkSize);
    const planned: PlannedInode = {
      inode,
      path,
      // A further name of a hard link uses up a number too, as in nydus.
      ino: this.#names.length + 1,
      xattrsSize: sizeXattrs(inode.xattrs),
      nlink: 1,
      offset: 0,
      contentSize: 0,
      contentOffset: 0,
      isInline: false,
    };
    this.#inodes.set(inode, planned);
    this.#names.push(planned);
    return planned;
  }

  #place(planned: PlannedInode): void {
    const { inode } = planned;
    const headSize = EXTENDED_INODE_SIZE + planned.xattrsSize;
    if (inode.type === "symlink") {
      planned.contentSize = inode.target.length;
      Object.assign(planned, this.#placement.placeWithContent(headSize, planned.contentSize));
    } else if (inode.type === "file") {
      const arraySize = inode.chunks.length * CHUNK_INDEX_SIZE;
      planned.offset = this.#placement.placeFile(alignUp(headSize, CHUNK_INDEX_ALIGNMENT) + arraySize);
    } else {
      planned.offset = this.#placement.placeDevice(headSize);
    }
  }
}
