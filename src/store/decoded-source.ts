import { throwIfAborted } from "../base/abort.ts";
import { type CodedError, isCoded } from "../base/errors.ts";
import { integerOption } from "../base/options.ts";
import type { BlobSource } from "./blob-source.ts";
import type { ChunkedBlob, ChunkRun, ChunkSink, ChunkSource, FetchOptions } from "./chunk-source.ts";
import { checkChunk, checkRun, corruptChunk, decodeChunk, missingChunk } from "./decode-chunk.ts";
import { type ChunkRequest, planRequests } from "./request-plan.ts";

/** Stored bytes of one request, unless a single chunk is larger. */
export const DEFAULT_REQUEST_SIZE = 2 ** 20;

export interface DecodedSourceOptions {
  /** Most stored bytes of one request with several chunks. @default 1 MiB */
  readonly requestSize?: number;
}

/** What a source was asked for and gave, since it was made. Sizes are bytes. */
export interface SourceCounts {
  requests: number;
  storedBytes: number;
  chunks: number;
  decodedBytes: number;
  /** Chunks given out without a digest to prove them. */
  unverifiedChunks: number;
}

/** Chunks out of a place that has blobs: ranged requests, decoded and verified here. */
export class DecodedSource implements ChunkSource {
  readonly name: string;
  readonly #counts: SourceCounts = {
    requests: 0,
    storedBytes: 0,
    chunks: 0,
    decodedBytes: 0,
    unverifiedChunks: 0,
  };
  readonly #blobs: BlobSource;
  readonly #requestSize: number;

  constructor(blobs: BlobSource, options: DecodedSourceOptions = {}) {
    this.name = blobs.name;
    this.#blobs = blobs;
    this.#requestSize = integerOption(
      "requestSize",
      options.requestSize ?? DEFAULT_REQUEST_SIZE,
      1,
      64 * 2 ** 20,
    );
  }

  get counts(): Readonly<SourceCounts> {
    return this.#counts;
  }

  /**
   * As {@link ChunkSource.fetch}; chunks arrive in index order, each as soon as its request is there.
   *
   * @throws {CodedError} ERR_CODEC_MISSING too, and whatever else the blob source throws.
   */
  async fetch(blob: ChunkedBlob, run: ChunkRun, options: FetchOptions, sink: ChunkSink): Promise<void> {
    checkRun(blob, run.first, run.count);
    for (const request of planRequests(blob.table, run, this.#requestSize)) {
      const stored = await this.#read(blob, request, options);
      for (let index = request.first; index < request.first + request.count; index++) {
        throwIfAborted(options.signal);
        await sink(index, this.#decode(blob, index, request, stored));
      }
    }
  }

  async #read(blob: ChunkedBlob, request: ChunkRequest, options: FetchOptions): Promise<Uint8Array> {
    throwIfAborted(options.signal);
    this.#counts.requests++;
    let stored: Uint8Array;
    try {
      stored = await this.#blobs.read(blob.id, request.offset, request.length, options);
    } catch (error) {
      throw chunkError(error, blob, request, this.name);
    }
    this.#counts.storedBytes += stored.length;
    if (stored.length !== request.length) {
      const what = `came as ${stored.length} bytes of a range of ${request.length}`;
      throw corruptChunk(blob, request.first, this.name, what);
    }
    return stored;
  }

  #decode(blob: ChunkedBlob, index: number, request: ChunkRequest, stored: Uint8Array): Uint8Array {
    const start = (blob.table.storedOffsets[index] as number) - request.offset;
    const bytes = stored.subarray(start, start + (blob.table.storedSizes[index] as number));
    let decoded: Uint8Array;
    try {
      decoded = decodeChunk(blob, index, bytes);
    } catch (error) {
      if (!isCoded(error, "ERR_CODEC_FAILED")) throw error;
      throw corruptChunk(blob, index, this.name, "does not decode", error);
    }
    const isVerified = checkChunk(blob, index, decoded, this.name);
    this.#counts.chunks++;
    this.#counts.decodedBytes += decoded.length;
    if (!isVerified) this.#counts.unverifiedChunks++;
    return decoded;
  }
}

/** A failed read of a blob, in the words of chunks. */
function chunkError(error: unknown, blob: ChunkedBlob, request: ChunkRequest, place: string): unknown {
  const wrap = (make: typeof missingChunk, what: string): CodedError =>
    make(blob, request.first, place, what, error);
  if (isCoded(error, "ERR_BLOB_NOT_FOUND")) return wrap(missingChunk, "is not there: no such blob");
  if (isCoded(error, "ERR_BLOB_CORRUPT")) return wrap(corruptChunk, "is cut off");
  return error;
}
