import { readSync } from "node:fs";
import { CodedError } from "../base/errors.ts";
import type { ReadOptions } from "../store/blob-source.ts";
import type { CachedBlob } from "../store/cached-blob.ts";
import { isReady, type ReadyBits } from "../store/ready-bits.ts";
import { type ChunkTouches, noteTouch } from "./chunk-trace.ts";
import { PADDING, type ReadPlan } from "./filesystem.ts";

/** The blobs of one image, by row of its blob table. */
export interface MountBlobs {
  /**
   * Opens a blob; what that takes (its chunk table) is fetched. Later calls give the same object, whose cache file
   * stays open as long as the mount.
   *
   * @throws {CodedError} as BlobSource.read, ERR_BLOB_CORRUPT for tables that make no sense.
   */
  open(blobIndex: number, options: ReadOptions): Promise<CachedBlob>;
}

/** What every thread needs to serve the chunks of a blob that are ready. All memory is shared. */
export interface SharedBlob {
  /** The cache file: decoded chunks at their decoded offsets. */
  readonly fd: number;
  readonly ready: ReadyBits;
  readonly decodedOffsets: Float64Array;
  readonly decodedSizes: Uint32Array;
  /** Where reads are noted, when they are. */
  readonly touches?: ChunkTouches;
}

/** The part of a blob that worker threads get. */
export function shareBlob(blob: CachedBlob, touches?: ChunkTouches): SharedBlob {
  const { fd, ready } = blob.cache;
  const { count, decodedOffsets: offsets, decodedSizes: sizes } = blob.cache.blob.table;
  const decodedOffsets = new Float64Array(new SharedArrayBuffer(count * 8));
  const decodedSizes = new Uint32Array(new SharedArrayBuffer(count * 4));
  decodedOffsets.set(offsets);
  decodedSizes.set(sizes);
  return { fd, ready, decodedOffsets, decodedSizes, ...(touches !== undefined && { touches }) };
}

function hasChunk(blob: SharedBlob, index: number): boolean {
  return index < blob.decodedSizes.length && isReady(blob.ready, index);
}

/** True when every piece of the plan can be read from the cache. */
export function isPlanReady(plan: ReadPlan, blobs: readonly (SharedBlob | undefined)[]): boolean {
  for (const piece of plan.pieces) {
    if (piece.chunkIndex === PADDING) continue;
    const blob = blobs[piece.blobIndex];
    if (blob === undefined || !hasChunk(blob, piece.chunkIndex)) return false;
  }
  return true;
}

/**
 * Bytes of the largest piece in which Linux keeps a file in memory. It forgets whole pieces only: what was read of one
 * before goes with the read that reaches its end.
 */
const LARGEST_FOLIO = 2 ** 21;

/** From here on a read is of a large file; pages around a small one are those of files that are likely read next. */
const LARGE_READ = 2 ** 18;

/** Told of bytes of a cache file that were read: the kernel keeps them under another name. */
export type DropCached = (fd: number, offset: number, length: number) => void;

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
  dropCached?: DropCached,
): void {
  let at = position;
  const { pieces } = plan;
  for (let index = 0; index < pieces.length; ) {
    const first = pieces[index];
    if (first?.chunkIndex === PADDING) {
      target.fill(0, at, at + first.length);
      at += first.length;
      index++;
      continue;
    }
    const blob = first === undefined ? undefined : blobs[first.blobIndex];
    if (first === undefined || blob === undefined) throw new Error("the plan is not ready");
    const start = pieceStart(blob, first);
    let length = first.length;
    // Chunks of one file mostly lie side by side: one call reads them all.
    for (index++; index < pieces.length; index++) {
      const next = pieces[index];
      if (next === undefined || next.blobIndex !== first.blobIndex || next.chunkIndex === PADDING) break;
      if (pieceStart(blob, next) !== start + length) break;
      length += next.length;
    }
    readExactly(blob.fd, target, at, length, start);
    if (dropCached !== undefined && length >= LARGE_READ) {
      const from = Math.max(0, start - LARGEST_FOLIO);
      dropCached(blob.fd, from, start + length - from);
    }
    at += length;
  }
}

function pieceStart(blob: SharedBlob, piece: ReadPlan["pieces"][number]): number {
  if (blob.touches !== undefined) noteTouch(blob.touches, piece.chunkIndex);
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
      throw new CodedError(
        "ERR_CACHE_CORRUPT",
        `cache file ends at ${position + done}, before a ready chunk`,
      );
    }
    done += count;
  }
}
