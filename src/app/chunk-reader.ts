import { CodedError, isCoded } from "../base/errors.ts";
import { type Chunk, HOLE } from "../image/chunk.ts";
import type { RegularFile } from "../image/tree.ts";
import type { ReadOptions } from "../store/blob-source.ts";
import type { ChunkedBlob, ChunkRun, ChunkSource } from "../store/chunk-source.ts";

/** Where a {@link ChunkReader} reads. */
export interface ChunkReaderDependencies {
  readonly source: ChunkSource;
  /** By blob index. */
  readonly blobs: readonly ChunkedBlob[];
}

/** How much a {@link ChunkReader} keeps and asks for. */
export interface ChunkReaderOptions {
  /** Decoded bytes that are kept. @default 64 MiB */
  readonly keptSize?: number;
  /** Stored bytes fetched at once. @default 1 MiB */
  readonly runSize?: number;
}

const DEFAULT_KEPT_SIZE = 64 * 2 ** 20;
const DEFAULT_RUN_SIZE = 2 ** 20;

/**
 * Reads files chunk by chunk. With a chunk its neighbours in the blob are fetched: converters store files
 * in the order of their names, so files read in path order take few requests. Memory is bounded whatever
 * the files' sizes.
 */
export class ChunkReader {
  readonly #source: ChunkSource;
  readonly #blobs: readonly ChunkedBlob[];
  readonly #keptSize: number;
  readonly #runSize: number;
  /** Oldest use first. */
  readonly #kept = new Map<string, Uint8Array>();
  #keptBytes = 0;

  constructor(dependencies: ChunkReaderDependencies, options: ChunkReaderOptions = {}) {
    this.#source = dependencies.source;
    this.#blobs = dependencies.blobs;
    this.#keptSize = options.keptSize ?? DEFAULT_KEPT_SIZE;
    this.#runSize = options.runSize ?? DEFAULT_RUN_SIZE;
  }

  /**
   * The bytes of a file, one piece per chunk. Pieces must not be changed.
   *
   * @throws {CodedError} as {@link ChunkSource.fetch}; ERR_BOOTSTRAP_CORRUPT when chunks and size of the
   *   file contradict each other.
   */
  async *readFile(file: RegularFile, options: ReadOptions): AsyncGenerator<Uint8Array, void, undefined> {
    let size = 0;
    for (const chunk of file.chunks) {
      const { blobIndex, decodedSize } = chunk;
      const bytes = blobIndex === HOLE ? new Uint8Array(decodedSize) : await this.#read(chunk, options);
      size += bytes.length;
      if (bytes.length !== decodedSize || size > file.size) break;
      yield bytes;
    }
    if (size !== file.size) {
      throw new CodedError("ERR_BOOTSTRAP_CORRUPT", `file of ${file.size} bytes has chunks of ${size}`);
    }
  }

  async #read({ blobIndex, index }: Chunk, { signal }: ReadOptions): Promise<Uint8Array> {
    const known = this.#use(blobIndex, index);
    if (known !== undefined) return known;
    const blob = this.#blobs[blobIndex];
    if (blob === undefined) throw new CodedError("ERR_BOOTSTRAP_CORRUPT", `image has no blob ${blobIndex}`);
    let wanted: Uint8Array | undefined;
    const run = this.#runFrom(blob, blobIndex, index);
    try {
      await this.#source.fetch(blob, run, { class: "demand", signal }, (found, decoded) => {
        if (decoded === undefined) throw new TypeError("chunks without a file came without bytes");
        if (found === index) wanted = decoded;
        this.#keep(blobIndex, found, decoded);
      });
    } catch (error) {
      // A neighbour nobody asked for may be broken: that is for who asks for it.
      if (wanted === undefined || !isCoded(error)) throw error;
    }
    if (wanted === undefined) {
      throw new TypeError(`${this.#source.name} did not give chunk ${index} of blob ${blob.id}`);
    }
    return wanted;
  }

  /** The chunk and what follows it, up to the first chunk that is kept already. */
  #runFrom(blob: ChunkedBlob, blobIndex: number, first: number): ChunkRun {
    const { storedOffsets, storedSizes, decodedSizes, count } = blob.table;
    const start = storedOffsets[first] ?? 0;
    let decoded = 0;
    let next = first;
    while (next < count) {
      const end = (storedOffsets[next] ?? 0) + (storedSizes[next] ?? 0);
      decoded += decodedSizes[next] ?? 0;
      const isTooMuch = end - start > this.#runSize || decoded > this.#keptSize / 2;
      if (next > first && (isTooMuch || this.#kept.has(keyOf(blobIndex, next)))) break;
      next++;
    }
    return { first, count: Math.max(1, next - first) };
  }

  #use(blobIndex: number, index: number): Uint8Array | undefined {
    const key = keyOf(blobIndex, index);
    const bytes = this.#kept.get(key);
    if (bytes !== undefined) {
      this.#kept.delete(key);
      this.#kept.set(key, bytes);
    }
    return bytes;
  }

  #keep(blobIndex: number, index: number, bytes: Uint8Array): void {
    const key = keyOf(blobIndex, index);
    if (this.#kept.has(key)) return;
    this.#kept.set(key, bytes);
    this.#keptBytes += bytes.length;
    for (const [oldest, old] of this.#kept) {
      if (this.#keptBytes <= this.#keptSize) break;
      this.#kept.delete(oldest);
      this.#keptBytes -= old.length;
    }
  }
}

function keyOf(blobIndex: number, index: number): string {
  return `${blobIndex}/${index}`;
}
