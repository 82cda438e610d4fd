import type { ReadOptions } from "./blob-source.ts";
import { CachedBlob, createCacheCounts } from "./cached-blob.ts";
import { type CacheableBlob, ChunkCache, type ChunkCacheOptions } from "./chunk-cache.ts";
import type { ChunkSource } from "./chunk-source.ts";

/** What {@link CachedBlobs} are made of. */
export interface CachedBlobsParts {
  /** Gives a blob with its chunk table, by row of the blob table. */
  load(blobIndex: number, options: ReadOptions): Promise<CacheableBlob>;
  /** Where missing chunks come from. */
  readonly source: ChunkSource;
  /** Folder of the cache files; made when it is not there. */
  readonly directory: string;
}

/** The blobs of one mounted image, by their row in its blob table; each is opened when it is first asked for. */
export class CachedBlobs implements AsyncDisposable {
  /** Sums over all blobs. */
  readonly counts = createCacheCounts();
  readonly #parts: CachedBlobsParts;
  readonly #options: ChunkCacheOptions;
  readonly #opened = new Map<number, Promise<CachedBlob>>();

  constructor(parts: CachedBlobsParts, options: ChunkCacheOptions = {}) {
    this.#parts = parts;
    this.#options = options;
  }

  /**
   * A blob; later calls give the same object. A failure is not remembered.
   *
   * @throws {CodedError} as `load` and {@link ChunkCache.open}.
   */
  open(blobIndex: number, options: ReadOptions): Promise<CachedBlob> {
    const known = this.#opened.get(blobIndex);
    if (known !== undefined) return known;
    const opening = this.#open(blobIndex, options);
    this.#opened.set(blobIndex, opening);
    opening.catch(() => this.#opened.delete(blobIndex));
    return opening;
  }

  /** Closes all cache files; the first failure is thrown when all are closed. */
  async [Symbol.asyncDispose](): Promise<void> {
    const opened = await Promise.allSettled(this.#opened.values());
    const blobs = opened.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
    const closed = await Promise.allSettled(blobs.map((blob) => blob.cache.close()));
    for (const result of closed) if (result.status === "rejected") throw result.reason;
  }

  async #open(blobIndex: number, options: ReadOptions): Promise<CachedBlob> {
    const { source, directory } = this.#parts;
    const blob = await this.#parts.load(blobIndex, options);
    return new CachedBlob(await ChunkCache.open(directory, blob, this.#options), source, this.counts);
  }
}
