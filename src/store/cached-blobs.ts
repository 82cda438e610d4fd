import { orAborted } from "../base/abort.ts";
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
  /** Ends what is being opened, which no single caller owns, when the blobs are disposed. */
  readonly #opening = new AbortController();

  constructor(parts: CachedBlobsParts, options: ChunkCacheOptions = {}) {
    this.#parts = parts;
    this.#options = options;
  }

  /**
   * A blob; later calls give the same object. A failure is not remembered. The signal ends the wait of this call, not
   * the opening, for which others may wait.
   *
   * @throws {CodedError} as `load` and {@link ChunkCache.open}; ERR_ABORTED.
   */
  open(blobIndex: number, { signal }: ReadOptions): Promise<CachedBlob> {
    let opening = this.#opened.get(blobIndex);
    if (opening === undefined) {
      opening = this.#open(blobIndex, { signal: this.#opening.signal });
      this.#opened.set(blobIndex, opening);
      opening.catch(() => this.#opened.delete(blobIndex));
    }
    return orAborted(opening, signal);
  }

  /** Closes all cache files; the first failure is thrown when all are closed. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#opening.abort();
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
