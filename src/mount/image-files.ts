import { alignUp, type ByteString } from "../base/bytes.ts";
import { DECODED_ALIGNMENT } from "../format/blob/chunk-table.ts";
import { BootstrapView } from "../image/bootstrap-view.ts";
import { FILE_MODES } from "../image/file-mode.ts";
import { type ChunkPiece, type FileAttributes, Filesystem, PADDING, type ReadPlan } from "./filesystem.ts";
import type { SharedBlob } from "./mount-blob.ts";
import { firstInodeNumber, type Local, nodeIdOf } from "./node-id.ts";

/** An image as threads share it. */
export interface SharedImage {
  readonly number: number;
  /** A v6 bootstrap in a SharedArrayBuffer. */
  readonly bootstrap: Uint8Array;
  /** By row of the blob table; filled as blobs are opened. */
  readonly blobs: (SharedBlob | undefined)[];
}

/** A name in a directory that no image has. */
export interface OwnEntry {
  readonly name: ByteString;
  readonly nodeId: number;
  /** d_type. */
  readonly type: number;
}

/** What a superblock shows of one image: its tree, and the bootstrap and the blobs as files. */
export class ImageFiles {
  readonly number: number;
  readonly bootstrap: Uint8Array;
  readonly filesystem: Filesystem;
  readonly blobs: (SharedBlob | undefined)[];
  readonly #blobSizes: readonly number[];

  /** @throws {CodedError} ERR_BOOTSTRAP_CORRUPT, ERR_FEATURE_UNSUPPORTED. */
  constructor({ number, bootstrap, blobs }: SharedImage) {
    const view = new BootstrapView(bootstrap);
    this.number = number;
    this.bootstrap = bootstrap;
    this.blobs = blobs;
    this.filesystem = new Filesystem(view, firstInodeNumber(number));
    this.#blobSizes = view.blobRows.map(({ decodedSize }) => decodedSize);
  }

  /** The directory of the image: `tree`, `boot`, and the blobs by their row, `0` and up: mount options name them all. */
  entries(): readonly OwnEntry[] {
    const { number, filesystem } = this;
    const tree = nodeIdOf(number, { kind: "inode", nid: filesystem.rootNid });
    const type = FILE_MODES.file >>> 12;
    return [
      { name: "tree", nodeId: tree, type: FILE_MODES.dir >>> 12 },
      { name: "boot", nodeId: nodeIdOf(number, { kind: "boot" }), type },
      ...this.#blobSizes.map((_, blobIndex) => {
        return { name: String(blobIndex), nodeId: nodeIdOf(number, { kind: "blob", blobIndex }), type };
      }),
    ];
  }

  /** Attributes of a file or directory that the image itself does not have. */
  attributes(local: Exclude<Local, { kind: "inode" }>): FileAttributes {
    const ino = nodeIdOf(this.number, local);
    if (local.kind === "directory") return directoryAttributes(ino);
    const size = local.kind === "boot" ? this.bootstrap.length : (this.#blobSizes[local.blobIndex] ?? 0);
    return ownAttributes(ino, FILE_MODES.file + 0o400, deviceSize(size));
  }

  /** Bytes of the bootstrap as a file, which ends with zeros up to the next block. */
  boot(offset: number, size: number): Uint8Array {
    const length = Math.max(0, Math.min(size, deviceSize(this.bootstrap.length) - offset));
    const bytes = this.bootstrap.subarray(offset, offset + length);
    if (bytes.length === length) return bytes;
    const padded = new Uint8Array(length);
    padded.set(bytes);
    return padded;
  }

  /**
   * Which chunks make up bytes `[offset, offset + size)` of a blob's decoded space; what is between them are zeros.
   * Undefined while the blob has not been opened: where its chunks lie is not known.
   */
  planBlob(blobIndex: number, offset: number, size: number): ReadPlan | undefined {
    const blob = this.blobs[blobIndex];
    if (blob === undefined) return undefined;
    const end = Math.min(offset + size, deviceSize(this.#blobSizes[blobIndex] ?? 0));
    const pieces: ChunkPiece[] = [];
    const { decodedOffsets, decodedSizes } = blob;
    let at = offset;
    for (let chunkIndex = firstChunkEndingAfter(blob, offset); at < end; chunkIndex++) {
      const start = decodedOffsets[chunkIndex] ?? end;
      if (start > at) {
        const length = Math.min(start, end) - at;
        pieces.push({ blobIndex, chunkIndex: PADDING, offset: 0, length });
        at += length;
      }
      if (at >= end) break;
      const length = Math.min(start + (decodedSizes[chunkIndex] ?? 0), end) - at;
      pieces.push({ blobIndex, chunkIndex, offset: at - start, length });
      at += length;
    }
    return { length: Math.max(0, end - offset), pieces };
  }
}

/** A device is whole blocks. */
function deviceSize(size: number): number {
  return alignUp(size, DECODED_ALIGNMENT);
}

/** The first chunk with bytes behind `offset`; the number of chunks when there is none. */
function firstChunkEndingAfter({ decodedOffsets, decodedSizes }: SharedBlob, offset: number): number {
  let low = 0;
  for (let high = decodedOffsets.length; low < high; ) {
    const middle = (low + high) >>> 1;
    const end = (decodedOffsets[middle] ?? 0) + (decodedSizes[middle] ?? 0);
    if (end > offset) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Root may look, others not: a file of blobs holds what any inode of the image may hide. */
export function directoryAttributes(ino: number): FileAttributes {
  return ownAttributes(ino, FILE_MODES.dir + 0o500, 0);
}

/** Attributes of a file or directory that no image has. */
export function ownAttributes(ino: number, mode: number, size: number): FileAttributes {
  const times = { mtimeSeconds: 0, mtimeNanoseconds: 0 };
  const nlink = (mode & FILE_MODES.mask) === FILE_MODES.dir ? 2 : 1;
  return { ino, size, blocks: size / 512, ...times, mode, nlink, uid: 0, gid: 0, rdev: 0 };
}
