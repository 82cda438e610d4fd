import type { Compressor, Digester } from "../base/algorithm.ts";
import type { ByteString } from "../base/bytes.ts";
import type { Blob, Chunk } from "./chunk.ts";

/** A point in time since 1970, before it when `seconds` is negative. */
export interface Timestamp {
  readonly seconds: number;
  /** 0 to 999,999,999, always counted forward. */
  readonly nanoseconds: number;
}

/** What every inode has. */
export interface Attributes {
  /** Permission, set-id and sticky bits: 0 to 0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: Timestamp;
  /** Full names (`user.a`, `security.capability`) to values. */
  readonly xattrs: ReadonlyMap<ByteString, Uint8Array>;
}

export interface RegularFile extends Attributes {
  readonly type: "file";
  readonly size: number;
  /** Chunk k covers the bytes from k * chunk size on; empty for an empty file. */
  readonly chunks: readonly Chunk[];
}

export interface Directory extends Attributes {
  readonly type: "dir";
  /** Names without `.` and `..`, in no particular order. A hard link is the same inode object under a second name. */
  readonly children: ReadonlyMap<ByteString, Inode>;
}

export interface Symlink extends Attributes {
  readonly type: "symlink";
  readonly target: ByteString;
}

export interface Device extends Attributes {
  readonly type: "char" | "block";
  readonly major: number;
  readonly minor: number;
}

export interface SpecialFile extends Attributes {
  readonly type: "fifo" | "socket";
}

/** Anything a name can stand for. */
export type Inode = RegularFile | Directory | Symlink | Device | SpecialFile;

export type FileType = Inode["type"];

/** A filesystem tree with the blobs that hold its files' bytes. */
export interface Image {
  readonly root: Directory;
  /** Chunks name their blob by position in this list. */
  readonly blobs: readonly Blob[];
  readonly chunkSize: number;
  readonly compressor: Compressor;
  readonly digester: Digester;
  /** Absolute paths to fetch early, in order; `/` alone means everything. */
  readonly prefetch: readonly ByteString[];
}

/** A name in the tree, its path from the root without a leading slash (`.` for the root itself). */
export interface TreeRow {
  readonly path: ByteString;
  readonly inode: Inode;
}

/** Every name of the tree, sorted by the bytes of the path; the root first, as `.`. */
export function listTree(root: Directory): TreeRow[] {
  const rows: TreeRow[] = [];
  const pending: { readonly prefix: ByteString; readonly directory: Directory }[] = [
    { prefix: "", directory: root },
  ];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    for (const [name, inode] of next.directory.children) {
      const path = next.prefix + name;
      rows.push({ path, inode });
      if (inode.type === "dir") pending.push({ prefix: `${path}/`, directory: inode });
    }
  }
  rows.sort((left, right) => (left.path < right.path ? -1 : 1));
  return [{ path: ".", inode: root }, ...rows];
}

/** For every inode that is not a directory: how many names of the tree lead to it. */
export function countLinks(rows: readonly TreeRow[]): Map<Inode, number> {
  const links = new Map<Inode, number>();
  for (const { inode } of rows) {
    if (inode.type !== "dir") links.set(inode, (links.get(inode) ?? 0) + 1);
  }
  return links;
}
