import { type ByteString, bytesOf, equalBytes, viewOf } from "../base/bytes.ts";
import type { CodedError } from "../base/errors.ts";
import { decodeDeviceNumber } from "../format/erofs/device-number.ts";
import { CHUNK_RECORD_SIZE } from "../format/rafs/chunk-record.ts";
import { decodeV5Inode, type V5Inode } from "../format/rafs/v5-inode.ts";
import type { Bootstrap, ReadBootstrapOptions } from "./bootstrap.ts";
import { bootstrapError } from "./bootstrap-error.ts";
import { BOOTSTRAP_LIMITS } from "./bootstrap-limits.ts";
import { V5ChunkReader } from "./bootstrap-v5-chunks.ts";
import { readV5Tables, type V5Tables } from "./bootstrap-v5-tables.ts";
import { fileTypeOfMode } from "./file-mode.ts";
import type { Attributes, Directory, Inode } from "./tree.ts";

/** A name on its way into the tree. */
interface Placed {
  readonly inode: Inode;
  readonly parentRow: number;
  readonly name: ByteString;
}

/** A directory whose children are still to be read. */
interface OpenDirectory {
  readonly row: number;
  readonly record: V5Inode;
  readonly children: Map<ByteString, Inode>;
  readonly depth: number;
}

/**
 * Reads a RAFS v5 bootstrap into a tree. Its blobs have no chunk information: see {@link chunkTableOfV5}.
 *
 * Names with the same inode number become one inode where nlink is above 1, with the attributes of the
 * first. Chunk k of a file has its digest and its place in both spaces. It takes time and memory in
 * proportion to `bytes` at most: a record that several names claim is refused.
 *
 * @throws {CodedError} ERR_BOOTSTRAP_CORRUPT; ERR_DIGEST_MISMATCH when an inode is not what its digest
 *   says; ERR_FEATURE_UNSUPPORTED; ERR_LIMIT_EXCEEDED.
 */
export function readBootstrapV5(bytes: Uint8Array, options: ReadBootstrapOptions = {}): Bootstrap {
  const tables = readV5Tables(bytes, options);
  const tree = new V5TreeReader(bytes, tables, options);
  const root = tree.read();
  return {
    fsVersion: 5,
    flags: tables.superblock.flags,
    root,
    blobs: tree.chunks.blobs(),
    chunkSize: tables.superblock.chunkSize,
    compressor: tables.compressor,
    digester: tables.digester,
    prefetch: tree.prefetchPaths(),
    recordedLinks: tree.recordedLinks(),
  };
}

class V5TreeReader {
  readonly chunks: V5ChunkReader;
  readonly #view: DataView;
  readonly #bytes: Uint8Array;
  readonly #tables: V5Tables;
  readonly #options: ReadBootstrapOptions;
  /** By inode table row; absent rows were not reached. */
  readonly #placed: (Placed | undefined)[];
  /** Inodes that may have more names, by inode number. */
  readonly #linked = new Map<number, Inode>();
  /** For every inode that is no directory: the link count of its first record, and the names found. */
  readonly #links = new Map<Inode, { readonly recorded: number; names: number }>();
  readonly #pending: OpenDirectory[] = [];
  /** Bytes of all records read: more than the image has only when records overlap. */
  #consumed = 0;

  constructor(bytes: Uint8Array, tables: V5Tables, options: ReadBootstrapOptions) {
    this.#bytes = bytes;
    this.#view = viewOf(bytes);
    this.#tables = tables;
    this.#options = options;
    this.#placed = new Array(tables.inodeOffsets.length).fill(undefined);
    this.chunks = new V5ChunkReader(this.#view, tables, options);
  }

  read(): Directory {
    const root = this.#place(0, -1, this.#record(0), 0);
    if (root.type !== "dir") throw corruptRow(0, "the root is no directory");
    // Breadth first, as names are numbered, so that the first name of an inode is read first.
    for (const directory of this.#pending) this.#readChildren(directory);
    return root;
  }

  /** Recorded link counts of inodes that have another number of names. */
  recordedLinks(): Map<Inode, number> {
    const differing = new Map<Inode, number>();
    for (const [inode, { recorded, names }] of this.#links) {
      if (recorded !== names) differing.set(inode, recorded);
    }
    return differing;
  }

  prefetchPaths(): ByteString[] {
    const paths: ByteString[] = [];
    let size = 0;
    for (const number of new Set(this.#tables.prefetch)) {
      const path = this.#path(number - 1);
      if (path === undefined) throw corruptRow(number - 1, "in the prefetch table is not in the tree");
      size += path.length;
      const { prefetchPathBytes } = BOOTSTRAP_LIMITS;
      if (size > prefetchPathBytes) {
        throw bootstrapError("ERR_LIMIT_EXCEEDED", `prefetch paths of over ${prefetchPathBytes} bytes`);
      }
      paths.push(path);
    }
    return paths;
  }

  #path(row: number): ByteString | undefined {
    const names: ByteString[] = [];
    let next = this.#placed[row];
    for (; next !== undefined && next.parentRow >= 0; next = this.#placed[next.parentRow]) {
      names.push(next.name);
    }
    return next === undefined ? undefined : `/${names.reverse().join("/")}`;
  }

  #readChildren(directory: OpenDirectory): void {
    const { row, record, children, depth } = directory;
    const first = record.childIndex - 1;
    if (record.childCount === 0) {
      this.#verify(row, record, () => new Uint8Array());
      return;
    }
    if (first < 1 || first + record.childCount > this.#placed.length) {
      throw corruptRow(
        row,
        `children ${first + 1} to ${first + record.childCount} are not in the inode table`,
      );
    }
    if (depth > BOOTSTRAP_LIMITS.depth) {
      throw bootstrapError("ERR_LIMIT_EXCEEDED", `directories are over ${BOOTSTRAP_LIMITS.depth} deep`);
    }
    const digests = new Uint8Array(record.childCount * 32);
    let previous: ByteString | undefined;
    for (let index = 0; index < record.childCount; index++) {
      const childRow = first + index;
      // One place in the tree per row: no cycle, and no work that multiplies.
      if (this.#placed[childRow] !== undefined) throw corruptRow(childRow, "is in two directories");
      const child = this.#record(childRow);
      if (!isName(child.name)) throw corruptRow(childRow, `name ${JSON.stringify(child.name)}`);
      if (previous !== undefined && child.name <= previous) {
        throw corruptRow(childRow, `name ${JSON.stringify(child.name)} after ${JSON.stringify(previous)}`);
      }
      previous = child.name;
      digests.set(child.digest, index * 32);
      children.set(child.name, this.#place(childRow, row, child, depth));
    }
    this.#verify(row, record, () => digests);
  }

  #record(row: number): V5Inode {
    const offset = this.#tables.inodeOffsets[row] ?? 0;
    try {
      const record = decodeV5Inode(this.#view, offset);
      this.#consumed += record.end - offset;
      if (this.#consumed > this.#bytes.length) throw corruptRow(row, "overlaps other inodes");
      return record;
    } catch (error) {
      if (error instanceof RangeError) throw corruptRow(row, error.message, error);
      throw error;
    }
  }

  #place(row: number, parentRow: number, record: V5Inode, depth: number): Inode {
    const isLinked = record.nlink > 1 && fileTypeOfMode(record.mode) !== "dir";
    const known = isLinked ? this.#linked.get(record.ino) : undefined;
    const inode = known ?? this.#decode(row, record, depth);
    if (known !== undefined && known.type !== fileTypeOfMode(record.mode)) {
      throw corruptRow(row, `is a link of inode ${record.ino}, but no ${known.type}`);
    }
    if (isLinked) this.#linked.set(record.ino, inode);
    const links = this.#links.get(inode);
    if (links !== undefined) links.names++;
    else if (inode.type !== "dir") this.#links.set(inode, { recorded: record.nlink, names: 1 });
    this.#placed[row] = { inode, parentRow, name: record.name };
    return inode;
  }

  #decode(row: number, record: V5Inode, depth: number): Inode {
    const type = fileTypeOfMode(record.mode);
    if (record.nlink === 0) throw corruptRow(row, "0 links");
    if (record.mtimeNanoseconds >= 1e9) throw corruptRow(row, `${record.mtimeNanoseconds} ns`);
    const attributes: Attributes = {
      mode: record.mode & 0o7777,
      uid: record.uid,
      gid: record.gid,
      mtime: { seconds: record.mtimeSeconds, nanoseconds: record.mtimeNanoseconds },
      xattrs: record.xattrs,
    };
    switch (type) {
      case "dir": {
        const children = new Map<ByteString, Inode>();
        this.#pending.push({ row, record, children, depth: depth + 1 });
        return { ...attributes, type, children };
      }
      case "file": {
        const chunks = this.chunks.read(row, record);
        this.#verify(row, record, () => this.#chunkDigests(record));
        return { ...attributes, type, size: record.size, chunks };
      }
      case "symlink": {
        const { target } = record;
        if (target.length === 0 || target.length > BOOTSTRAP_LIMITS.targetLength || target.includes("\0")) {
          throw corruptRow(row, `link target of ${target.length} bytes`);
        }
        this.#verify(row, record, () => bytesOf(target));
        return { ...attributes, type, target };
      }
      case undefined:
        throw corruptRow(row, `mode 0${record.mode.toString(8)} has no type`);
      default:
        this.#verify(row, record, () => new Uint8Array());
        return type === "fifo" || type === "socket"
          ? { ...attributes, type }
          : { ...attributes, type, ...decodeDeviceNumber(record.rdev) };
    }
  }

  #chunkDigests(record: V5Inode): Uint8Array {
    const digests = new Uint8Array(record.childCount * 32);
    for (let index = 0; index < record.childCount; index++) {
      const start = record.chunksOffset + index * CHUNK_RECORD_SIZE;
      digests.set(this.#bytes.subarray(start, start + 32), index * 32);
    }
    return digests;
  }

  #verify(row: number, record: V5Inode, content: () => Uint8Array): void {
    const { digest } = this.#options;
    if (digest === undefined || equalBytes(digest(this.#tables.digester, content()), record.digest)) return;
    throw bootstrapError("ERR_DIGEST_MISMATCH", `inode ${row + 1} is not what its digest says`);
  }
}

function isName(name: ByteString): boolean {
  return (
    name.length > 0 &&
    name.length <= BOOTSTRAP_LIMITS.nameLength &&
    name !== "." &&
    name !== ".." &&
    !name.includes("/") &&
    !name.includes("\0")
  );
}

function corruptRow(row: number, what: string, cause?: unknown): CodedError {
  return bootstrapError("ERR_BOOTSTRAP_CORRUPT", `inode ${row + 1}: ${what}`, cause);
}
