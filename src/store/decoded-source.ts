import { throwIfAborted } from "../base/abort.ts";
import { toHex } from "../base/bytes.ts";
import { type CodedError, isCoded } from "../base/errors.ts";
import { integerOption } from "../base/options.ts";
import type { DecodedRun, DecodeTask, FilledRun, FillTask } from "../codec/chunk-tasks.ts";
import { decodeChunks } from "../codec/decode-chunks.ts";
import { DIGEST_LENGTH } from "../codec/digest.ts";
import { taskError } from "../codec/task-failure.ts";
import type { BlobSource } from "./blob-source.ts";
import type { ChunkedBlob, ChunkRun, ChunkSink, ChunkSource, FetchOptions } from "./chunk-source.ts";
import { checkChunk, checkRun, chunkDigest, corruptChunk, missingChunk } from "./decode-chunk.ts";
import { decodeRuns, decodeTask, fillTask } from "./decode-task.ts";
import { type ChunkRequest, planRequests } from "./request-plan.ts";
import { RequestSlots } from "./request-slots.ts";

/** Stored bytes of one request, unless a single chunk is larger. */
export const DEFAULT_REQUEST_SIZE = 2 ** 20;

/** Buffers of that size that are kept for the next requests. */
const MAX_SPARE_BUFFERS = 10;

/** Threads that decode, {@link ChunkWorkers} for one. */
export interface DecodingThreads {
  decode(task: DecodeTask): Promise<DecodedRun>;
  fill(task: FillTask): Promise<FilledRun>;
}

export interface DecodedSourceOptions {
  /** Most stored bytes of one request with several chunks. @default 1 MiB */
  readonly requestSize?: number;
  /** Decode and digest chunks, and write them where there is a file for them. @default the calling thread decodes */
  readonly threads?: DecodingThreads;
  /** Bounds the requests under way. @default slots of its own */
  readonly slots?: RequestSlots;
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

/** Chunks out of a place that has blobs: ranged requests, several at once, decoded and verified here. */
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
  readonly #threads: DecodingThreads | undefined;
  readonly #slots: RequestSlots;
  /** Shared with threads, and used again and again: what is left to be collected piles up under load. */
  readonly #spare: Uint8Array<SharedArrayBuffer>[] = [];

  constructor(blobs: BlobSource, options: DecodedSourceOptions = {}) {
    this.name = blobs.name;
    this.#blobs = blobs;
    const { requestSize = DEFAULT_REQUEST_SIZE } = options;
    this.#requestSize = integerOption("requestSize", requestSize, 1, 64 * 2 ** 20);
    this.#threads = options.threads;
    this.#slots = options.slots ?? new RequestSlots();
  }

  get counts(): Readonly<SourceCounts> {
    return this.#counts;
  }

  /**
   * As {@link ChunkSource.fetch}; when one request fails the others are still brought to their end.
   *
   * @throws {CodedError} ERR_CODEC_MISSING, ERR_CACHE_IO and ERR_WORKER_FAILED too, and whatever else the blob source
   *   throws.
   */
  async fetch(blob: ChunkedBlob, run: ChunkRun, options: FetchOptions, sink: ChunkSink): Promise<void> {
    throwIfAborted(options.signal);
    checkRun(blob, run.first, run.count);
    const ended = await Promise.allSettled(
      planRequests(blob.table, run, this.#requestSize).map((request) =>
        this.#slots.run(options, (pause) => this.#serve(blob, request, options, sink, pause)),
      ),
    );
    for (const result of ended) if (result.status === "rejected") throw result.reason;
  }

  async #serve(
    blob: ChunkedBlob,
    request: ChunkRequest,
    options: FetchOptions,
    sink: ChunkSink,
    pause: () => Promise<void>,
  ): Promise<void> {
    const size = Math.max(request.length, this.#requestSize);
    const buffer = this.#spare.pop() ?? new Uint8Array(new SharedArrayBuffer(size));
    const into = buffer.length < request.length ? undefined : buffer.subarray(0, request.length);
    const stored = await this.#read(blob, request, options, into);
    const given = await Promise.allSettled(
      [...decodeRuns(blob, request)].map(async (part) => {
        await pause();
        throwIfAborted(options.signal);
        if (this.#threads !== undefined && options.file !== undefined && isProvable(blob, part)) {
          const task = fillTask(blob, part, request, stored, options.file);
          await this.#tell(blob, part, await this.#threads.fill(task), sink);
        } else {
          const task = decodeTask(blob, part, request, stored);
          const decoded = await (this.#threads?.decode(task) ?? decodeChunks(task));
          await this.#give(blob, part, decoded, options, sink);
        }
      }),
    );
    // Memory that a failed read may still write to is given up.
    if (stored === into && this.#spare.length < MAX_SPARE_BUFFERS) this.#spare.push(buffer);
    for (const result of given) if (result.status === "rejected") throw result.reason;
  }

  async #read(
    blob: ChunkedBlob,
    request: ChunkRequest,
    options: FetchOptions,
    into: Uint8Array | undefined,
  ): Promise<Uint8Array> {
    this.#counts.requests++;
    const { signal, class: fetchClass } = options;
    let stored: Uint8Array;
    try {
      stored = await this.#blobs.read(blob.id, request.offset, request.length, {
        signal,
        class: fetchClass,
        ...(into !== undefined && { into }),
      });
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

  /** Tells the sink of chunks that are in their file. */
  async #tell(blob: ChunkedBlob, run: ChunkRun, { failed }: FilledRun, sink: ChunkSink): Promise<void> {
    for (let position = 0; position < (failed?.position ?? run.count); position++) {
      const index = run.first + position;
      this.#counts.chunks++;
      this.#counts.decodedBytes += blob.table.decodedSizes[index] as number;
      await sink(index, undefined);
    }
    if (failed === undefined) return;
    const index = run.first + failed.position;
    if (failed.failure !== undefined) throw this.#undecodable(blob, index, taskError(failed.failure));
    const [found, expected] = [failed.digest, chunkDigest(blob, index)].map((digest) =>
      toHex(digest ?? new Uint8Array(0)),
    );
    throw corruptChunk(blob, index, this.name, `digests to ${found}, expected ${expected}`);
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
    throw this.#undecodable(blob, run.first + failed.position, taskError(failed.failure));
  }

  #undecodable(blob: ChunkedBlob, index: number, error: Error): Error {
    if (!isCoded(error, "ERR_CODEC_FAILED")) return error;
    return corruptChunk(blob, index, this.name, "does not decode", error);
  }
}

/** Whether every chunk of a run has a digest, so that a thread can prove it. */
function isProvable(blob: ChunkedBlob, { first, count }: ChunkRun): boolean {
  for (let index = first; index < first + count; index++) {
    if (chunkDigest(blob, index) === undefined) return false;
  }
  return true;
}

/** A failed read of a blob, in the words of chunks. */
function chunkError(error: unknown, blob: ChunkedBlob, request: ChunkRequest, place: string): unknown {
  const wrap = (make: typeof missingChunk, what: string): CodedError =>
    make(blob, request.first, place, what, error);
  if (isCoded(error, "ERR_BLOB_NOT_FOUND")) return wrap(missingChunk, "is not there: no such blob");
  if (isCoded(error, "ERR_BLOB_CORRUPT")) return wrap(corruptChunk, "is cut off");
  return error;
}
