import { tracingChannel } from "node:diagnostics_channel";
import { throwIfAborted } from "../base/abort.ts";
import { type EnsureTrace, TRACE_POINTS } from "../base/trace-points.ts";
import type { ChunkCache } from "./chunk-cache.ts";
import { runsWhere } from "./chunk-run.ts";
import type { ChunkRun, ChunkSource, FetchOptions } from "./chunk-source.ts";
import { checkRun, chunkDigest, corruptChunk, provableChunks } from "./decode-chunk.ts";
import { ReadAhead } from "./read-ahead.ts";
import { type FillChunks, SingleFlight } from "./single-flight.ts";

/** What the readers of cached blobs asked for, since they were opened. */
export interface CacheCounts {
  /** Calls of `ensure`. */
  requests: number;
  /** Chunks that were ready when they were asked for. */
  hits: number;
  /** Chunks that were not. */
  misses: number;
  /** Chunks that an earlier run left in the cache, read and found good. */
  claimsVerified: number;
  /** Chunks that an earlier run left in the cache and that were not what the image says. */
  claimsRefused: number;
  /** Chunks written to the cache, and their decoded bytes. */
  fetchedChunks: number;
  fetchedBytes: number;
}

// A channel belongs to the process: whoever names it gets the same.
const ENSURES = tracingChannel<unknown, EnsureTrace>(TRACE_POINTS.ensure);

/** One blob of a mounted image: its cache files, and where the chunks come from that they lack. */
export class CachedBlob implements AsyncDisposable {
  readonly cache: ChunkCache;
  readonly counts: CacheCounts;
  readonly #flights: SingleFlight;
  readonly #readAhead: ReadAhead;

  constructor(cache: ChunkCache, source: ChunkSource, counts: CacheCounts = createCacheCounts()) {
    this.cache = cache;
    this.counts = counts;
    this.#flights = new SingleFlight(fillFrom(cache, source, counts));
    this.#readAhead = new ReadAhead(cache.blob.table);
  }

  /**
   * Makes sure that the chunks of a run are ready. Chunks that are not are read once, however many ask, and
   * giving up here does not take them from those who still wait. What a reader demands brings its neighbours along.
   * A prefetch leaves out chunks that no file of the image uses.
   *
   * @throws {CodedError} as {@link ChunkSource.fetch}; ERR_CHUNK_CORRUPT too for a demanded chunk without a digest
   *   where others have one; ERR_CACHE_IO.
   */
  async ensure(run: ChunkRun, options: FetchOptions): Promise<void> {
    checkRun(this.cache.blob, run.first, run.count);
    this.counts.requests++;
    const missing = this.#missingIn(run, options);
    const misses = missing.reduce((sum, { count }) => sum + count, 0);
    this.counts.hits += run.count - misses;
    this.counts.misses += misses;
    if (misses === 0) return;
    throwIfAborted(options.signal);
    const fill = (): Promise<unknown> =>
      Promise.all(
        missing.map((part) =>
          options.class === "demand" ? this.#fetchAhead(part, options) : this.#flights.fetch(part, options),
        ),
      );
    await ENSURES.tracePromise(fill, { blobId: this.cache.blob.id, ...run, class: options.class });
  }

  /**
   * What of a run is to be read. An image that has digests has them of every chunk its files use; of others that
   * share the cache file nothing unproven may take the place.
   */
  #missingIn(run: ChunkRun, options: FetchOptions): ChunkRun[] {
    const { blob } = this.cache;
    const isUnnamed = (index: number): boolean =>
      blob.digests !== undefined && chunkDigest(blob, index) === undefined;
    const [unnamed] = runsWhere(run, isUnnamed);
    if (unnamed !== undefined && options.class === "demand") {
      throw corruptChunk(blob, unnamed.first, this.cache.dataPath, "has no digest in the image that uses it");
    }
    return runsWhere(run, (index) => !this.cache.isReady(index) && !isUnnamed(index));
  }

  /** Fetches a run with its neighbours; returns when the run is ready, and fails only for a fault of the run itself. */
  async #fetchAhead(run: ChunkRun, options: FetchOptions): Promise<void> {
    const { blob } = this.cache;
    const ahead = this.#readAhead.extend(run, (index) => {
      // No file uses a chunk without a digest: an upper layer replaced it.
      const isUseful = blob.digests === undefined || chunkDigest(blob, index) !== undefined;
      return isUseful && !this.cache.isReady(index) && !this.cache.isClaimed(index);
    });
    try {
      await this.#flights.fetch(run, options, ahead);
    } catch (error) {
      if (ahead.count === run.count || options.signal.aborted) throw error;
      // The fault may be a neighbour's, or the end of a flight that another reader gave up.
      const left = this.#missingIn(run, options);
      await Promise.all(left.map((part) => this.#flights.fetch(part, options)));
    }
  }

  /** True when every chunk is ready: in the cache file, and verified where it has a digest. */
  get isComplete(): boolean {
    return this.cache.isComplete;
  }

  /**
   * Verifies what an earlier run left in the cache, without asking the network. Chunks without a digest are not
   * looked at: no file of the image uses them. When all others are there that is recorded, and the next call
   * believes the record as long as the file is unchanged.
   *
   * @returns Whether every chunk that the image uses is there and proven: the file may be a device.
   * @throws {CodedError} ERR_CACHE_IO, ERR_ABORTED.
   */
  async verifyWhole(signal: AbortSignal): Promise<boolean> {
    const { cache } = this;
    if (cache.blob.digests === undefined) return false;
    if (await cache.trustVerifiedRecord()) return true;
    // Before any is read: a mount waits for this.
    for (const index of provableChunks(cache.blob)) {
      if (!cache.isReady(index) && !cache.isClaimed(index)) return false;
    }
    for (const index of provableChunks(cache.blob)) {
      throwIfAborted(signal);
      if (cache.isReady(index)) continue;
      count(this.counts, await cache.verifyClaimed(index));
      if (!cache.isReady(index)) return false;
    }
    await cache.recordVerified();
    return true;
  }

  /** Closes the cache files. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.cache.close();
  }
}

/** Counts that start at zero. */
export function createCacheCounts(): CacheCounts {
  return {
    requests: 0,
    hits: 0,
    misses: 0,
    claimsVerified: 0,
    claimsRefused: 0,
    fetchedChunks: 0,
    fetchedBytes: 0,
  };
}

function count(counts: CacheCounts, verified: Uint8Array | undefined): void {
  if (verified === undefined) counts.claimsRefused++;
  else counts.claimsVerified++;
}

/** Fills chunks with what an earlier run left when it is good, from the network otherwise. */
function fillFrom(cache: ChunkCache, source: ChunkSource, counts: CacheCounts): FillChunks {
  return async (run, options, onReady) => {
    for (let index = run.first; index < run.first + run.count; index++) {
      if (!cache.isClaimed(index)) continue;
      throwIfAborted(options.signal);
      count(counts, await cache.verifyClaimed(index));
      if (cache.isReady(index)) onReady(index);
    }
    const missing = runsWhere(run, (index) => !cache.isReady(index));
    await cache.lend(options.signal, async (file, signal) => {
      for (const part of missing) {
        await source.fetch(cache.blob, part, { ...options, signal, file }, async (index, decoded) => {
          if (decoded === undefined) file.wrote(index);
          else await cache.write(index, decoded);
          counts.fetchedChunks++;
          counts.fetchedBytes += cache.blob.table.decodedSizes[index] ?? 0;
          onReady(index);
        });
      }
    });
  };
}
