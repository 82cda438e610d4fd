import { throwIfAborted } from "../base/abort.ts";
import { type CodedError, isCoded } from "../base/errors.ts";
import { integerOption } from "../base/options.ts";
import type { DecodedRun, DecodeTask } from "../codec/chunk-tasks.ts";
import { decodeChunks } from "../codec/decode-chunks.ts";
import { DIGEST_LENGTH } from "../codec/digest.ts";
import { taskError } from "../codec/task-failure.ts";
import type { BlobSource } from "./blob-source.ts";
import type { ChunkedBlob, ChunkRun, ChunkSink, ChunkSource, FetchOptions } from "./chunk-source.ts";
import { checkChunk, checkRun, corruptChunk, missingChunk } from "./decode-chunk.ts";
import { decodeRuns, decodeTask } from "./decode-task.ts";
import { type ChunkRequest, planRequests } from "./request-plan.ts";

/** Stored bytes of one request, unless a single chunk is larger. */
export const DEFAULT_REQUEST_SIZE = 2 ** 20;

export interface DecodedSourceOptions {
  /** Most stored bytes of one request with several chunks. @default 1 MiB */
  readonly requestSize?: number;
  /** Decodes and digests chunks, {@link ChunkWorkers.decode} for one. @default on the calling thread */
  readonly decode?: (task: DecodeTask) => Promise<DecodedRun>;
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
  readonly #decode: (task: DecodeTask) => Promise<DecodedRun>;

  constructor(blobs: BlobSource, options: DecodedSourceOptions = {}) {
    this.name = blobs.name;
    this.#blobs = blobs;
    this.#requestSize = integerOption(
      "requestSize",
      options.requestSize ?? DEFAULT_REQUEST_SIZE,
      1,
      64 * 2 ** 20,
    );
    this.#decode = options.decode ?? (async (task) => decodeChunks(task));
  }

  get counts(): Readonly<SourceCounts> {
    return this.#counts;
  }

  /**
   * As {@link ChunkSource.fetch}; chunks arrive in index order, a few MiB at a time.
   *
   * @throws {CodedError} ERR_CODEC_MISSING and ERR_WORKER_FAILED too, and whatever else the blob source throws.
   */
  async fetch(blob: ChunkedBlob, run: ChunkRun, options: FetchOptions, sink: ChunkSink): Promise<void> {
    checkRun(blob, run.first, run.count);
    for (const request of planRequests(blob.table, run, this.#requestSize)) {
      const stored = await this.#read(blob, request, options);
      for (const part of decodeRuns(blob, request)) {
        throwIfAborted(options.signal);
        const decoded = await this.#decode(decodeTask(blob, part, request, stored));
        await this.#give(blob, part, decoded, options, sink);
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

  /** Checks what was decoded and gives the sink what is good. */
  async #give(
    blob: ChunkedBlob,
    run: ChunkRun,
    { buffer, digests, failed }: DecodedRun,
    { signal }: FetchOptions,
    sink: ChunkSink,
  ): Promise<void> {
    let end = 0;
    for (let position = 0; position < (failed?.position ?? run.count); position++) {
      throwIfAborted(signal);
      const index = run.first + position;
      const decoded = buffer.subarray(end, end + (blob.table.decodedSizes[index] as number));
      const digest = digests.subarray(position * DIGEST_LENGTH, (position + 1) * DIGEST_LENGTH);
      const isVerified = checkChunk(blob, index, decoded, this.name, digest);
      end += decoded.length;
      this.#counts.chunks++;
      this.#counts.decodedBytes += decoded.length;
      if (!isVerified) this.#counts.unverifiedChunks++;
      await sink(index, decoded);
    }
    if (failed === undefined) return;
    const error = taskError(failed.failure);
    if (!isCoded(error, "ERR_CODEC_FAILED")) throw error;
    throw corruptChunk(blob, run.first + failed.position, this.name, "does not decode", error);
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
