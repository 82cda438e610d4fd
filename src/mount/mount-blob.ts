import { readSync } from "node:fs";
import { CodedError } from "../base/errors.ts";
import type { ChunkTable } from "../format/blob/chunk-table.ts";
import type { ReadOptions } from "../store/blob-source.ts";
import type { ChunkRun, FetchOptions } from "../store/chunk-source.ts";
import type { ReadPlan } from "./filesystem.ts";

/** A blob with its cache file: what a mount reads chunks from. */
export interface MountBlob {
  /** 64 hex digits. */
  readonly id: string;
  readonly table: ChunkTable;
  /** The cache file: decoded chunks at their decoded offsets. Open as long as the mount. */
  readonly fd: number;
  /** Where the cache file is. */
  readonly path: string;
  /** A bit per chunk, bit 7 of byte 0 first, in shared memory: set when the chunk is verified and in the cache file. */
  readonly ready: Uint8Array;

  /**
   * Returns when every chunk of the run is ready.
   *
   * @throws {CodedError} as ChunkSource.fetch.
   */
  ensure(run: ChunkRun, options: FetchOptions): Promise<void>;
}

/** The blobs of one image, by row of its blob table. */
export interface MountBlobs {
  /**
   * Opens a blob; what that takes (its chunk table) is fetched. Later calls give the same object.
   *
   * @throws {CodedError} as BlobSource.read, ERR_BLOB_CORRUPT for tables that make no sense.
   */
  open(blobIndex: number, options: ReadOptions): Promise<MountBlob>;
}

/** What every thread needs to serve the chunks of a blob that are ready. All memory is shared. */
export interface SharedBlob {
  readonly fd: number;
  readonly ready: Uint8Array;
  readonly decodedOffsets: Float64Array;
  readonly decodedSizes: Uint32Array;
}

/** The part of a blob that worker threads get. */
export function shareBlob(blob: MountBlob): SharedBlob {
  const { table, fd, ready } = blob;
  const decodedOffsets = new Float64Array(new SharedArrayBuffer(table.count * 8));
  const decodedSizes = new Uint32Array(new SharedArrayBuffer(table.count * 4));
  decodedOffsets.set(table.decodedOffsets);
  decodedSizes.set(table.decodedSizes);
  return { fd, ready, decodedOffsets, decodedSizes };
}

/** True when chunk `index` may be read from the cache file. */
export function isChunkReady(ready: Uint8Array, index: number): boolean {
  const at = index >>> 3;
  return at < ready.length && (Atomics.load(ready, at) & (0x80 >>> (index & 7))) !== 0;
}

/** True when every piece of the plan can be read from the cache. */
export function isPlanReady(plan: ReadPlan, blobs: readonly (SharedBlob | undefined)[]): boolean {
  for (const piece of plan.pieces) {
    const blob = blobs[piece.blobIndex];
    if (blob === undefined || !isChunkReady(blob.ready, piece.chunkIndex)) return false;
  }
  return true;
}

/**
 * Reads a plan, all of whose pieces are ready, into `target` at `position`.
 *
 * @throws {CodedError} ERR_CACHE_CORRUPT when the cache file ends early; ERR_BOOTSTRAP_CORRUPT when a chunk is shorter
 *   than the file needs; ERR_CACHE_IO when the disk fails. Nothing in `target` counts then.
 */
export function readPlan(
  plan: ReadPlan,
  blobs: readonly (SharedBlob | undefined)[],
  target: Uint8Array,
  position: number,
): void {
  let at = position;
  const { pieces } = plan;
  for (let index = 0; index < pieces.length; ) {
    const first = pieces[index];
    const blob = first === undefined ? undefined : blobs[first.blobIndex];
    if (first === undefined || blob === undefined) throw new Error("the plan is not ready");
    const start = pieceStart(blob, first);
    let length = first.length;
    // Chunks of one file mostly lie side by side: one call reads them all.
    for (index++; index < pieces.length; index++) {
      const next = pieces[index];
      if (next === undefined || next.blobIndex !== first.blobIndex) break;
      if (pieceStart(blob, next) !== start + length) break;
      length += next.length;
    }
    readExactly(blob.fd, target, at, length, start);
    at += length;
  }
}

function pieceStart(blob: SharedBlob, piece: ReadPlan["pieces"][number]): number {
  const start = blob.decodedOffsets[piece.chunkIndex] ?? Number.NaN;
  const size = blob.decodedSizes[piece.chunkIndex] ?? 0;
  if (piece.offset + piece.length > size || Number.isNaN(start)) {
    throw new CodedError(
      "ERR_BOOTSTRAP_CORRUPT",
      `chunk ${piece.chunkIndex} of blob ${piece.blobIndex} has ${size} bytes, a file needs ${piece.offset + piece.length}`,
    );
  }
  return start + piece.offset;
}

function readExactly(fd: number, target: Uint8Array, at: number, length: number, position: number): void {
  for (let done = 0; done < length; ) {
    let count: number;
    try {
      count = readSync(fd, target, at + done, length - done, position + done);
    } catch (error) {
      throw new CodedError("ERR_CACHE_IO", `cache file at ${position + done}`, { cause: error });
    }
    // A truncated cache file must never read as zeroes.
    if (count === 0) {
      throw new CodedError("ERR_CACHE_CORRUPT", `cache file ends at ${position + done}, before a ready chunk`);
    }
    done += count;
  }
}
