import type { ByteString } from "../base/bytes.ts";
import { FUSE_ROOT_ID } from "../format/fuse/opcodes.ts";
import { FILE_MODES } from "../image/file-mode.ts";
import type { FileAttributes, Filesystem, FilesystemSize, ReadPlan } from "./filesystem.ts";
import { directoryAttributes, type ImageFiles, type OwnEntry } from "./image-files.ts";
import { imageNumberOf, type Local, localOf, nodeIdOf } from "./node-id.ts";

/** A name in a directory, as FUSE wants it. */
export interface NamedNode {
  readonly name: ByteString;
  readonly nodeId: number;
  /** d_ino. */
  readonly ino: number;
  /** d_type: the type bits of st_mode, shifted right by 12. */
  readonly type: number;
  /** Where the listing goes on behind this name; above 0. */
  readonly nextPosition: number;
}

/** What the root of a superblock is: the tree of its only image, number 0; or a directory for each image. */
export type RootKind = "tree" | "images";

/** A node id that stands for nothing (any more): the kernel kept it from an image that was taken away. */
export class StaleNode extends Error {
  override readonly name = "StaleNode";
}

const DIRECTORY_TYPE = FILE_MODES.dir >>> 12;

/**
 * What one FUSE superblock shows, by node id. Every thread that answers has one of its own over the same shared memory.
 *
 * Methods throw StaleNode, and a CodedError with ERR_BOOTSTRAP_CORRUPT where an image makes no sense.
 */
export class Superblock {
  readonly root: RootKind;
  readonly #images = new Map<number, ImageFiles>();

  constructor(root: RootKind) {
    this.root = root;
  }

  add(image: ImageFiles): void {
    this.#images.set(image.number, image);
  }

  remove(number: number): void {
    this.#images.delete(number);
  }

  find(number: number): ImageFiles | undefined {
    return this.#images.get(number);
  }

  /** True when no inode can have xattrs, now and later. */
  get isWithoutXattrs(): boolean {
    return this.root === "tree" && this.#images.get(0)?.filesystem.hasXattrs === false;
  }

  /** True for files whose bytes the kernel, or who reads them, caches elsewhere. */
  isUncached(nodeId: number): boolean {
    const { kind } = localOf(nodeId);
    return kind === "boot" || kind === "blob";
  }

  attributes(nodeId: number): FileAttributes {
    if (this.#isListOfImages(nodeId)) return directoryAttributes(FUSE_ROOT_ID);
    const image = this.#image(nodeId);
    const local = this.#local(nodeId, image);
    return local.kind === "inode" ? image.filesystem.attributes(local.nid) : image.attributes(local);
  }

  /** The node that `name` stands for in a directory; undefined when there is no such name. */
  lookup(directory: number, name: ByteString): number | undefined {
    if (this.#isListOfImages(directory)) {
      const number = Number(name);
      const isThere = String(number) === name && this.#images.has(number);
      return isThere ? nodeIdOf(number, { kind: "directory" }) : undefined;
    }
    const image = this.#image(directory);
    const local = this.#local(directory, image);
    if (local.kind === "directory") return image.entries().find((entry) => entry.name === name)?.nodeId;
    const nid = image.filesystem.lookup(requireNid(local), name);
    return nid === undefined ? undefined : this.#nodeId(image, nid);
  }

  /** True when the kernel may keep a name that is not there: images come and go, what is in one does not. */
  isForEver(directory: number): boolean {
    return !this.#isListOfImages(directory);
  }

  /** The names of a directory, `.` and `..` among them, from a position on: 0, or the `nextPosition` of a name. */
  *entriesFrom(nodeId: number, position: number): Iterable<NamedNode> {
    if (this.#isListOfImages(nodeId)) {
      yield* listed(this.#imageEntries(), nodeId, nodeId, position);
      return;
    }
    const image = this.#image(nodeId);
    const local = this.#local(nodeId, image);
    if (local.kind === "directory") {
      yield* listed(image.entries(), nodeId, FUSE_ROOT_ID, position);
      return;
    }
    const { filesystem } = image;
    for (const entry of filesystem.entriesFrom(requireNid(local), position)) {
      const { name, nid, nextPosition } = entry;
      const type = filesystem.entryType(entry);
      yield { name, nodeId: this.#nodeId(image, nid), ino: filesystem.firstIno + nid, type, nextPosition };
    }
  }

  /** The inode of an image that a node is, with its filesystem; undefined for files that are the superblock's own. */
  inode(nodeId: number): { readonly filesystem: Filesystem; readonly nid: number } | undefined {
    if (this.#isListOfImages(nodeId)) return undefined;
    const image = this.#image(nodeId);
    const local = this.#local(nodeId, image);
    return local.kind === "inode" ? { filesystem: image.filesystem, nid: local.nid } : undefined;
  }

  /** What makes up bytes `[offset, offset + size)` of a file. */
  read(nodeId: number, offset: number, size: number): FileRead {
    const image = this.#image(nodeId);
    const local = this.#local(nodeId, image);
    switch (local.kind) {
      case "inode":
        return { image, plan: image.filesystem.plan(local.nid, offset, size) };
      case "boot":
        return { image, bytes: image.boot(offset, size) };
      case "blob":
        return { image, plan: image.planBlob(local.blobIndex, offset, size), blobIndex: local.blobIndex };
      case "directory":
        return { image, bytes: new Uint8Array(0) };
    }
  }

  size(): FilesystemSize {
    const sizes = [...this.#images.values()].map(({ filesystem }) => filesystem.size());
    const sum = (field: "blocks" | "files"): number => sizes.reduce((total, size) => total + size[field], 0);
    return { blocks: sum("blocks"), blockSize: 4096, files: sum("files"), nameLength: 255 };
  }

  #isListOfImages(nodeId: number): boolean {
    return nodeId === FUSE_ROOT_ID && this.root === "images";
  }

  #imageEntries(): readonly OwnEntry[] {
    return [...this.#images.keys()].map((number) => {
      const nodeId = nodeIdOf(number, { kind: "directory" });
      return { name: String(number), nodeId, type: DIRECTORY_TYPE };
    });
  }

  #image(nodeId: number): ImageFiles {
    const image = this.#images.get(imageNumberOf(nodeId));
    if (image === undefined) throw new StaleNode(`node ${nodeId} is of no image`);
    return image;
  }

  #local(nodeId: number, image: ImageFiles): Local {
    return nodeId === FUSE_ROOT_ID ? { kind: "inode", nid: image.filesystem.rootNid } : localOf(nodeId);
  }

  #nodeId(image: ImageFiles, nid: number): number {
    const isRoot = this.root === "tree" && nid === image.filesystem.rootNid;
    return isRoot ? FUSE_ROOT_ID : nodeIdOf(image.number, { kind: "inode", nid });
  }
}

/** The answer to a READ, or what it takes to answer it. */
export interface FileRead {
  readonly image: ImageFiles;
  /** The bytes themselves. */
  readonly bytes?: Uint8Array;
  /** Where they lie; absent with `blobIndex` while that blob has not been opened. */
  readonly plan?: ReadPlan | undefined;
  /** The blob that is read as a file. */
  readonly blobIndex?: number;
}

function requireNid(local: Local): number {
  if (local.kind !== "inode") throw new StaleNode("not a directory");
  return local.nid;
}

/** The listing of a directory that no image has: positions count names. */
function* listed(
  entries: readonly OwnEntry[],
  self: number,
  parent: number,
  position: number,
): Iterable<NamedNode> {
  const all = [
    { name: ".", nodeId: self, type: DIRECTORY_TYPE },
    { name: "..", nodeId: parent, type: DIRECTORY_TYPE },
    ...entries,
  ];
  for (let at = position; at < all.length; at++) {
    const entry = all[at] as OwnEntry;
    yield { ...entry, ino: entry.nodeId, nextPosition: at + 1 };
  }
}
