import { throwIfAborted } from "../base/abort.ts";
import type { CacheableBlob } from "./chunk-cache.ts";
import { ChunkCache, type ChunkCacheOptions } from "./chunk-cache.ts";
import { runsWhere } from "./chunk-run.ts";
import type { ChunkRun, ChunkSource, FetchOptions } from "./chunk-source.ts";
import { checkRun, chunkDigest } from "./decode-chunk.ts";
import { singleFlight } from "./single-flight.ts";

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

/** One blob of a mounted image: its cache files, and where the chunks come from that they lack. */
export class CachedBlob implements AsyncDisposable {
  readonly cache: ChunkCache;
  readonly counts: CacheCounts;
  readonly #fill: ChunkSource;

  constructor(cache: ChunkCache, source: ChunkSource, counts: CacheCounts = createCacheCounts()) {
    this.cache = cache;
    this.counts = counts;
    this.#fill = singleFlight(fillSource(cache, source, counts));
  }

  /**
   * Makes sure that the chunks of a run are ready. Chunks that are not are read once, however many ask, and
   * giving up here does not take them from those who still wait.
   *
   * @throws {CodedError} as {@link ChunkSource.fetch}; ERR_CACHE_IO.
   */
  async ensure(run: ChunkRun, options: FetchOptions): Promise<void> {
    checkRun(this.cache.blob, run.first, run.count);
    this.counts.requests++;
    const missing = runsWhere(run, (index) => !this.cache.isReady(index));
    const misses = missing.reduce((sum, { count }) => sum + count, 0);
    this.counts.hits += run.count - misses;
    this.counts.misses += misses;
    if (misses === 0) return;
    throwIfAborted(options.signal);
    await Promise.all(missing.map((part) => this.#fill.fetch(this.cache.blob, part, options, () => {})));
  }

  /** True when every chunk is ready: in the cache file, and verified where it has a digest. */
  get isComplete(): boolean {
    return this.cache.isComplete;
  }

  /**
   * Verifies what an earlier run left in the cache, whole, without asking the network. When the blob is
   * complete that is recorded, and the next call believes the record as long as the file is unchanged.
   *
   * @returns Whether every chunk of the blob is there and proven by its digest: the file may be a device.
   * @throws {CodedError} ERR_CACHE_IO, ERR_ABORTED.
   */
  async verifyWhole(signal: AbortSignal): Promise<boolean> {
    const { cache } = this;
    for (let index = 0; index < cache.blob.table.count; index++) {
      if (chunkDigest(cache.blob, index) === undefined) return false;
    }
    if (!cache.isComplete && (await cache.trustVerifiedRecord())) return true;
    for (let index = 0; index < cache.blob.table.count; index++) {
      throwIfAborted(signal);
      if (cache.isReady(index)) continue;
      if (!cache.isClaimed(index)) return false;
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

/** The blobs of one mounted image, by their row in its blob table. */
export class CachedBlobs implements AsyncDisposable {
  readonly blobs: readonly CachedBlob[];
  readonly counts: CacheCounts;

  private constructor(blobs: readonly CachedBlob[], counts: CacheCounts) {
    this.blobs = blobs;
    this.counts = counts;
  }

  /**
   * Opens the cache files of all blobs in one folder.
   *
   * @param source Where missing chunks come from.
   * @throws {CodedError} as {@link ChunkCache.open}.
   */
  static async open(
    directory: string,
    blobs: readonly CacheableBlob[],
    source: ChunkSource,
    options: ChunkCacheOptions = {},
  ): Promise<CachedBlobs> {
    const counts = createCacheCounts();
    const opened: CachedBlob[] = [];
    try {
      for (const blob of blobs) {
        opened.push(new CachedBlob(await ChunkCache.open(directory, blob, options), source, counts));
      }
    } catch (error) {
      await Promise.allSettled(opened.map((blob) => blob.cache.close()));
      throw error;
    }
    return new CachedBlobs(opened, counts);
  }

  /** {@link CachedBlob.ensure} of the blob at `blobIndex`. */
  ensure(blobIndex: number, run: ChunkRun, options: FetchOptions): Promise<void> {
    return this.#get(blobIndex).ensure(run, options);
  }

  /** {@link CachedBlob.isComplete} of the blob at `blobIndex`. */
  isComplete(blobIndex: number): boolean {
    return this.#get(blobIndex).isComplete;
  }

  /** {@link CachedBlob.verifyWhole} of the blob at `blobIndex`. */
  verifyWhole(blobIndex: number, signal: AbortSignal): Promise<boolean> {
    return this.#get(blobIndex).verifyWhole(signal);
  }

  /** Closes all cache files; the first failure is thrown when all are closed. */
  async [Symbol.asyncDispose](): Promise<void> {
    const results = await Promise.allSettled(this.blobs.map((blob) => blob.cache.close()));
    for (const result of results) if (result.status === "rejected") throw result.reason;
  }

  #get(blobIndex: number): CachedBlob {
    const blob = this.blobs[blobIndex];
    if (blob === undefined) throw new RangeError(`no blob ${blobIndex}, there are ${this.blobs.length}`);
    return blob;
  }
}

function createCacheCounts(): CacheCounts {
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

/** Chunks that are not ready: what an earlier run left when it is good, the network otherwise. */
function fillSource(cache: ChunkCache, source: ChunkSource, counts: CacheCounts): ChunkSource {
  return {
    name: source.name,
    async fetch(blob, run, options, sink) {
      const given = new Set<number>();
      for (let index = run.first; index < run.first + run.count; index++) {
        if (!cache.isClaimed(index)) continue;
        throwIfAborted(options.signal);
        const decoded = await cache.verifyClaimed(index);
        count(counts, decoded);
        if (decoded === undefined) continue;
        given.add(index);
        await sink(index, decoded);
      }
      const missing = runsWhere(run, (index) => !given.has(index));
      for (const part of missing) {
        await source.fetch(blob, part, options, async (index, decoded) => {
          await cache.write(index, decoded);
          counts.fetchedChunks++;
          counts.fetchedBytes += decoded.length;
          await sink(index, decoded);
        });
      }
    },
  };
}
