import { type ByteString, byteString } from "../base/bytes.ts";
import { CHUNK_INDEX_SIZE } from "../format/erofs/chunk-index.ts";
import { decodeDeviceNumber } from "../format/erofs/device-number.ts";
import { DIRENT_TYPES } from "../format/erofs/dirent.ts";
import { bootstrapError, corruptInode } from "./bootstrap-error.ts";
import { BOOTSTRAP_LIMITS } from "./bootstrap-limits.ts";
import type { BootstrapView, Dentry, InodeRecord } from "./bootstrap-view.ts";
import { type Chunk, holeOf } from "./chunk.ts";
import type { ChunkCatalog } from "./chunk-catalog.ts";
import { fileTypeOfMode } from "./file-mode.ts";
import type { Attributes, Directory, Inode } from "./tree.ts";

/** A directory whose names are still to be read. */
interface PendingDirectory {
  readonly record: InodeRecord;
  readonly children: Map<ByteString, Inode>;
  /** Absolute path with a slash at the end. */
  readonly path: ByteString;
  readonly depth: number;
}

/**
 * Makes the tree of a v6 bootstrap. Names with the same nid become the same inode object.
 *
 * Beyond what {@link BootstrapView} checks: names are sound and sorted, a directory has one place, and all inodes
 * together claim no more bytes than the image has, so a hostile image costs no more than an honest one of its size.
 */
export class TreeReader {
  readonly #view: BootstrapView;
  readonly #chunks: ChunkCatalog;
  readonly #wantedNids: ReadonlySet<number>;
  readonly #paths = new Map<number, ByteString>();
  readonly #inodes = new Map<number, Inode>();
  /** How many names lead to an inode that is no directory. */
  readonly #names = new Map<Inode, number>();
  readonly #pending: PendingDirectory[] = [];
  #unclaimedBytes: number;
  #pathBytes = 0;

  /**
   * @param size Bytes of the image.
   * @param wantedNids Inodes whose path {@link pathsOf} will be asked for.
   */
  constructor(view: BootstrapView, chunks: ChunkCatalog, size: number, wantedNids: readonly number[]) {
    this.#view = view;
    this.#chunks = chunks;
    this.#unclaimedBytes = size;
    this.#wantedNids = new Set(wantedNids);
  }

  /** @throws {CodedError} ERR_BOOTSTRAP_CORRUPT, ERR_FEATURE_UNSUPPORTED. */
  read(): Directory {
    const { rootNid } = this.#view;
    const root = this.#inode(rootNid, "/", 0);
    if (root.type !== "dir") throw corruptInode(rootNid, "is the root but no directory");
    this.#notePath(rootNid, "/");
    for (let next = this.#pending.pop(); next !== undefined; next = this.#pending.pop()) {
      this.#readNames(next);
    }
    return root;
  }

  /**
   * Absolute paths of those of the wanted inodes that have one, each once, in the order asked.
   *
   * @throws {CodedError} ERR_LIMIT_EXCEEDED when they are too long together.
   */
  pathsOf(nids: readonly number[]): ByteString[] {
    const paths = [...new Set(nids)].flatMap((nid) => this.#paths.get(nid) ?? []);
    const { prefetchPathBytes } = BOOTSTRAP_LIMITS;
    if (paths.reduce((sum, path) => sum + path.length, 0) > prefetchPathBytes) {
      throw bootstrapError("ERR_LIMIT_EXCEEDED", `prefetch paths of over ${prefetchPathBytes} bytes`);
    }
    return paths;
  }

  /** Recorded link counts of inodes that have another number of names. */
  recordedLinks(): Map<Inode, number> {
    const links = new Map<Inode, number>();
    for (const [nid, inode] of this.#inodes) {
      const names = this.#names.get(inode);
      const recorded = names === undefined ? 0 : this.#view.inode(nid).nlink;
      if (names !== undefined && recorded !== names) links.set(inode, recorded);
    }
    return links;
  }

  #readNames({ record, children, path, depth }: PendingDirectory): void {
    let previous = "";
    for (const entry of this.#view.entries(record)) {
      const { name, nid } = entry;
      // Lookups search by halving: a name out of order would be listed but never found. This finds duplicates too.
      if (name <= previous) throw corruptInode(record.nid, `name ${JSON.stringify(name)} is out of order`);
      previous = name;
      if (name === "." || name === "..") continue;
      if (name.length > BOOTSTRAP_LIMITS.nameLength || name.includes("/") || name.includes("\0")) {
        throw corruptInode(record.nid, `name ${JSON.stringify(name)}`);
      }
      this.#pathBytes += path.length + name.length;
      if (this.#pathBytes > BOOTSTRAP_LIMITS.pathBytes) {
        throw bootstrapError("ERR_LIMIT_EXCEEDED", `paths of over ${BOOTSTRAP_LIMITS.pathBytes} bytes`);
      }
      const known = this.#inodes.get(nid);
      if (known?.type === "dir") {
        throw corruptInode(nid, `directory found a second time, as ${JSON.stringify(name)}`);
      }
      const inode = known ?? this.#inode(nid, `${path}${name}/`, depth + 1);
      checkFileType(entry, inode);
      children.set(name, inode);
      if (inode.type !== "dir") this.#names.set(inode, (this.#names.get(inode) ?? 0) + 1);
      this.#notePath(nid, path + name);
    }
  }

  #inode(nid: number, path: ByteString, depth: number): Inode {
    const record = this.#view.inode(nid);
    this.#claim(nid, record.bodyOffset - record.offset);
    const type = fileTypeOfMode(record.mode) ?? "file";
    // The content is claimed before it is read, so that nothing is made for an array that overlaps others.
    if (type === "file") this.#claim(nid, this.#view.chunkCount(record) * CHUNK_INDEX_SIZE);
    if (type === "dir" || type === "symlink") this.#claim(nid, record.size);
    const attributes: Attributes = {
      mode: record.mode & 0o7777,
      uid: record.uid,
      gid: record.gid,
      mtime: { seconds: record.mtimeSeconds, nanoseconds: record.mtimeNanoseconds },
      xattrs: this.#view.xattrs(record),
    };
    const inode = this.#withContent(type, attributes, record, path, depth);
    this.#inodes.set(nid, inode);
    return inode;
  }

  #withContent(
    type: Inode["type"],
    attributes: Attributes,
    record: InodeRecord,
    path: ByteString,
    depth: number,
  ): Inode {
    switch (type) {
      case "dir": {
        if (depth > BOOTSTRAP_LIMITS.depth) {
          throw corruptInode(record.nid, `lies more than ${BOOTSTRAP_LIMITS.depth} directories deep`);
        }
        const children = new Map<ByteString, Inode>();
        this.#pending.push({ record, children, path, depth });
        return { ...attributes, type, children };
      }
      case "file":
        return { ...attributes, type, size: record.size, chunks: this.#chunksOf(record) };
      case "symlink":
        return { ...attributes, type, target: byteString(this.#view.readlink(record)) };
      case "char":
      case "block":
        return { ...attributes, type, ...decodeDeviceNumber(record.rdev) };
      case "fifo":
      case "socket":
        return { ...attributes, type };
    }
  }

  #chunksOf(record: InodeRecord): Chunk[] {
    const { chunkSize } = this.#view;
    const chunks: Chunk[] = [];
    const count = this.#view.chunkCount(record);
    for (let k = 0; k < count; k++) {
      const size = Math.min(chunkSize, record.size - k * chunkSize);
      const index = this.#view.chunkIndex(record, k);
      chunks.push(index === undefined ? holeOf(size) : this.#chunks.find(index, size));
    }
    return chunks;
  }

  #claim(nid: number, bytes: number): void {
    this.#unclaimedBytes -= bytes;
    if (this.#unclaimedBytes < 0) throw corruptInode(nid, "overlaps others: together they exceed the image");
  }

  #notePath(nid: number, path: ByteString): void {
    if (this.#wantedNids.has(nid) && !this.#paths.has(nid)) this.#paths.set(nid, path);
  }
}

function checkFileType(entry: Dentry, inode: Inode): void {
  if (entry.fileType !== 0 && entry.fileType !== DIRENT_TYPES[inode.type]) {
    throw corruptInode(entry.nid, `is a ${inode.type}, but type ${entry.fileType} in its directory`);
  }
}
