import { setMaxListeners } from "node:events";
import { join } from "node:path";
import { throwIfAborted } from "../base/abort.ts";
import { toHex } from "../base/bytes.ts";
import { isBlobId } from "../base/digest.ts";
import { CodedError, isCoded } from "../base/errors.ts";
import { integerOption } from "../base/options.ts";
import { sha256 } from "../codec/digest.ts";
import {
  type CacheFile,
  cacheIoError,
  createCacheDirectory,
  growFile,
  type OpenCacheFile,
  openCacheFile,
  readFully,
  writeFully,
} from "./cache-file.ts";
import { cacheFolderOf } from "./cache-folder.ts";
import { ChunkMapFile } from "./chunk-map-file.ts";
import type { ChunkedBlob, ChunkFile } from "./chunk-source.ts";
import { checkChunk, chunkDigest, provableChunks } from "./decode-chunk.ts";
import { ensureBlobMeta } from "./ensure-blob-meta.ts";
import { clearReady, createReadyBits, isReady, type ReadyBits, setReady } from "./ready-bits.ts";
import { type Schedule, scheduleOnTimer } from "./schedule.ts";
import { readVerifiedRecord, writeVerifiedRecord } from "./verified-record.ts";

/** A blob that can be cached. */
export interface CacheableBlob extends ChunkedBlob {
  /** Bytes of the decoded space, the length of the cache file. */
  readonly decodedSize: number;
  /** Bytes of `ID.blob.meta` (format/blob/blob-meta-file.ts); the file is left out when absent. */
  readonly metaBytes?: Uint8Array;
}

/** The cache file in the hands of who fills it. */
export interface LentFile extends ChunkFile {
  /**
   * Makes a chunk ready whose verified bytes were written.
   *
   * @throws {CodedError} ERR_CACHE_IO.
   */
  wrote(index: number): void;
}

export interface ChunkCacheOptions {
  /** Longest time a ready chunk waits for its bit on disk. @default 1000 */
  readonly flushDelayMs?: number;
  /** Chunks after which the bits are written without waiting. @default 256 */
  readonly flushChunks?: number;
  /** @default a timer that does not keep the process alive */
  readonly schedule?: Schedule;
  /** @default openCacheFile */
  readonly openFile?: OpenCacheFile;
}

/**
 * The cache files of one blob, in nydusd's layout: `ID.blob.data` (sparse, decoded space),
 * `ID.blob.data.chunk_map`, `ID.blob.meta`.
 *
 * There are two bitmaps. *Ready* is in memory: set when verified bytes are written, cleared never while they
 * stand, seen by every thread. *Durable* is the chunk map on disk: a bit is written only after fdatasync
 * of the bytes, in batches, never on the path of a read. nydusd does not order them and may serve zeros
 * after a power cut.
 */
export class ChunkCache implements AsyncDisposable {
  readonly blob: CacheableBlob;
  /** The cache file, for threads and kernels that read it themselves. */
  readonly dataPath: string;
  readonly ready: ReadyBits;
  readonly #file: CacheFile;
  readonly #map: ChunkMapFile;
  /** What the chunk map held when it was opened, less what was verified or refused since. */
  readonly #claims: ReadyBits;
  readonly #flushDelayMs: number;
  readonly #flushChunks: number;
  readonly #schedule: Schedule;
  #dirty: number[] = [];
  #readyCount = 0;
  #cancelFlush: (() => void) | undefined;
  #flushing: Promise<void> = Promise.resolve();
  #failure: CodedError | undefined;
  /** Work of others that writes to the file, and what stops it. */
  readonly #lent = new Map<Promise<void>, AbortController>();
  #isClosed = false;

  private constructor(
    files: { data: CacheFile; dataPath: string; map: ChunkMapFile; claims: ReadyBits },
    blob: CacheableBlob,
    options: ChunkCacheOptions,
  ) {
    this.blob = blob;
    this.dataPath = files.dataPath;
    this.ready = createReadyBits(blob.table.count);
    this.#file = files.data;
    this.#map = files.map;
    this.#claims = files.claims;
    this.#flushDelayMs = integerOption("flushDelayMs", options.flushDelayMs ?? 1000, 0, 3_600_000);
    this.#flushChunks = integerOption("flushChunks", options.flushChunks ?? 256, 1, 2 ** 24);
    this.#schedule = options.schedule ?? scheduleOnTimer;
  }

  /**
   * Opens the files of a blob, made where absent (0600, in a folder of 0700); where: {@link cacheFolderOf}.
   *
   * @throws {CodedError} ERR_CACHE_CORRUPT when a file is not this blob's (nothing is deleted),
   *   ERR_CACHE_IO, ERR_IMAGE_INVALID when the id cannot be a file name.
   */
  static async open(
    directory: string,
    blob: CacheableBlob,
    options: ChunkCacheOptions = {},
  ): Promise<ChunkCache> {
    if (!isBlobId(blob.id)) {
      throw new CodedError("ERR_IMAGE_INVALID", `blob id ${JSON.stringify(blob.id)} is not 64 hex digits`);
    }
    const openFile = options.openFile ?? openCacheFile;
    await createCacheDirectory(directory);
    const folder = await cacheFolderOf(directory, blob);
    if (folder !== directory) await createCacheDirectory(folder);
    const dataPath = join(folder, `${blob.id}.blob.data`);
    if (blob.metaBytes !== undefined) {
      await ensureBlobMeta(join(folder, `${blob.id}.blob.meta`), blob.metaBytes);
    }
    const data = await openFile(dataPath);
    try {
      await growFile(data, dataPath, blob.decodedSize);
      const { map, claims } = await ChunkMapFile.open(`${dataPath}.chunk_map`, blob.table.count, openFile);
      return new ChunkCache({ data, dataPath, map, claims }, blob, options);
    } catch (error) {
      await data.close();
      throw error;
    }
  }

  /** File descriptor of the cache file, good until `close`. */
  get fd(): number {
    return this.#file.fd;
  }

  /** True when every chunk is ready. */
  get isComplete(): boolean {
    return this.#readyCount === this.blob.table.count;
  }

  isReady(index: number): boolean {
    return isReady(this.ready, index);
  }

  /** True when the chunk map held the chunk's bit and nobody has verified its bytes since. */
  isClaimed(index: number): boolean {
    return isReady(this.#claims, index);
  }

  /**
   * Takes the bytes of a chunk, which must be verified. The chunk is ready when this resolves.
   *
   * @throws {CodedError} ERR_CACHE_IO.
   */
  async write(index: number, decoded: Uint8Array): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    if (decoded.length !== this.blob.table.decodedSizes[index]) {
      throw new RangeError(`chunk ${index} has ${decoded.length} bytes`);
    }
    // A ready chunk may be under a reader's eyes, or the kernel's: its bytes are never written again.
    if (this.isReady(index)) return;
    await writeFully(this.#file, this.dataPath, this.#offsetOf(index), decoded);
    this.#wrote(index);
  }

  /**
   * Lends the cache file to who writes chunks into it that are not ready, and then says so by {@link LentFile.wrote}. The
   * file stays open until that has ended.
   *
   * @param work Is to stop when the signal that it gets fires: yours, or the file is being closed.
   * @throws {CodedError} ERR_CACHE_IO, and what the work throws.
   */
  async lend(
    signal: AbortSignal,
    work: (file: LentFile, signal: AbortSignal) => Promise<void>,
  ): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    const stop = new AbortController();
    // Every request of the work may wait on it.
    setMaxListeners(0, stop.signal);
    const abort = (): void => stop.abort(signal.reason);
    if (signal.aborted || this.#isClosed) abort();
    throwIfAborted(stop.signal);
    signal.addEventListener("abort", abort, { once: true });
    const wrote = (index: number): void => {
      // Nobody knows whether what was written around a failed sync will ever be on the disk.
      if (this.#failure !== undefined) throw this.#failure;
      this.#wrote(index);
    };
    const working = work({ fd: this.#file.fd, path: this.dataPath, wrote }, stop.signal);
    this.#lent.set(working, stop);
    try {
      await working;
    } finally {
      signal.removeEventListener("abort", abort);
      this.#lent.delete(working);
    }
  }

  #wrote(index: number): void {
    if (this.isReady(index)) return;
    this.#markReady(index);
    this.#dirty.push(index);
    if (this.#dirty.length >= this.#flushChunks) this.flush().catch(() => {});
    else this.#cancelFlush ??= this.#schedule(() => this.flush().catch(() => {}), this.#flushDelayMs);
  }

  /**
   * The decoded bytes of a ready chunk.
   *
   * @throws {CodedError} ERR_CACHE_IO.
   */
  read(index: number): Promise<Uint8Array> {
    const length = this.blob.table.decodedSizes[index] as number;
    return readFully(this.#file, this.dataPath, this.#offsetOf(index), length);
  }

  /**
   * Checks a chunk that the chunk map claims to be there, and makes it ready when it is.
   *
   * @returns Its bytes; undefined when they are not the chunk's, or no digest can prove them. The claim is
   *   gone then: the chunk counts as missing.
   * @throws {CodedError} ERR_CACHE_IO.
   */
  async verifyClaimed(index: number): Promise<Uint8Array | undefined> {
    if (!this.isClaimed(index)) return undefined;
    const decoded = chunkDigest(this.blob, index) === undefined ? undefined : await this.read(index);
    const isGood = decoded !== undefined && this.#matches(index, decoded);
    clearReady(this.#claims, index);
    if (!isGood) return undefined;
    this.#markReady(index);
    return decoded;
  }

  /**
   * Makes every ready chunk durable: fdatasync of the bytes, then their bits. What becomes ready meanwhile
   * waits for the next time.
   *
   * @throws {CodedError} ERR_CACHE_IO. The chunks in question are not ready any more: after a failed sync
   *   nobody knows what the disk holds.
   */
  flush(): Promise<void> {
    this.#cancelFlush?.();
    this.#cancelFlush = undefined;
    // A chunk map that could not be written costs its bits, not those of later batches.
    this.#flushing = this.#flushing.catch(() => {}).then(() => this.#flushNow());
    return this.#flushing;
  }

  /**
   * Makes all chunks that have a digest ready without reading them, when a record of an earlier
   * {@link recordVerified} still fits the file: same size, same time of modification, same digests.
   *
   * @returns Whether it did.
   */
  async trustVerifiedRecord(): Promise<boolean> {
    const stat = await this.#stat();
    if (this.blob.digests === undefined) return false;
    const record = await readVerifiedRecord(this.#recordPath);
    const isTrusted =
      record !== undefined &&
      record.size === stat.size &&
      record.mtimeNs === stat.mtimeNs &&
      record.chunkDigests === this.#digestOfDigests();
    if (!isTrusted) return false;
    for (const index of provableChunks(this.blob)) this.#markReady(index);
    return true;
  }

  /**
   * Writes down that every chunk with a digest was verified, so that the next start need not read them all.
   * Does nothing while one of them is not ready.
   *
   * @throws {CodedError} ERR_CACHE_IO.
   */
  async recordVerified(): Promise<void> {
    if (this.blob.digests === undefined) return;
    for (const index of provableChunks(this.blob)) if (!this.isReady(index)) return;
    await this.flush();
    const { size, mtimeNs } = await this.#stat();
    await writeVerifiedRecord(this.#recordPath, { size, mtimeNs, chunkDigests: this.#digestOfDigests() });
  }

  /** Makes what is ready durable and closes the files. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const stop of this.#lent.values()) stop.abort();
    // The number of a closed file soon stands for another one, which no thread must write to.
    await Promise.allSettled(this.#lent.keys());
    try {
      await this.flush();
    } finally {
      await this.#map.close();
      await this.#file.close();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  get #recordPath(): string {
    return `${this.dataPath}.verified`;
  }

  #offsetOf(index: number): number {
    return this.blob.table.decodedOffsets[index] as number;
  }

  #markReady(index: number): void {
    clearReady(this.#claims, index);
    if (this.isReady(index)) return;
    setReady(this.ready, index);
    this.#readyCount++;
  }

  #matches(index: number, decoded: Uint8Array): boolean {
    try {
      return checkChunk(this.blob, index, decoded, this.dataPath);
    } catch (error) {
      if (isCoded(error, "ERR_CHUNK_CORRUPT")) return false;
      throw error;
    }
  }

  async #flushNow(): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    const batch = this.#dirty;
    if (batch.length === 0) return;
    this.#dirty = [];
    try {
      await this.#file.datasync();
    } catch (cause) {
      // The kernel reports a lost page once and forgets it: no later sync can prove these chunks.
      for (const index of [...batch, ...this.#dirty]) {
        clearReady(this.ready, index);
        this.#readyCount--;
      }
      this.#dirty = [];
      this.#failure = cacheIoError(this.dataPath, cause);
      throw this.#failure;
    }
    await this.#map.set(batch);
  }

  async #stat(): Promise<{ size: number; mtimeNs: string }> {
    try {
      const stat = await this.#file.stat({ bigint: true });
      return { size: Number(stat.size), mtimeNs: String(stat.mtimeNs) };
    } catch (cause) {
      throw cacheIoError(this.dataPath, cause);
    }
  }

  #digestOfDigests(): string {
    return toHex(sha256(this.blob.digests ?? new Uint8Array(0)));
  }
}
