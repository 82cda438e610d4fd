import type { Digester } from "../base/algorithm.ts";
import { byteString } from "../base/bytes.ts";
import { CodedError } from "../base/errors.ts";
import type { BufferPool } from "../codec/buffer-pool.ts";
import { createChunkDigest, DIGEST_LENGTH, digestChunk, type RunningDigest } from "../codec/digest.ts";
import { MAX_CHUNK_COUNT } from "../format/blob/chunk-table.ts";

/** Most chunks of a batch, so that tiny files do not make one that takes long. */
const MAX_BATCH_CHUNKS = 1024;

/** Chunks of a layer that follow each other, to be stored. */
export interface ChunkBatch {
  /** A whole buffer of a {@link BufferPool} with the chunks one after the other from its start. */
  readonly buffer: Uint8Array<ArrayBuffer>;
  /** Bytes of each chunk. */
  readonly sizes: Uint32Array<ArrayBuffer>;
}

/** The chunks of a layer, each once, in the order in which they came first. */
export interface CutChunks {
  /** 32 bytes for each chunk, over its bytes as the layer's reader gave them. */
  readonly digests: Uint8Array<ArrayBuffer>;
  /** Chunks that came again, and their bytes. */
  readonly duplicates: { readonly count: number; readonly size: number };
}

export interface CutterOptions {
  /** Bytes, a power of two. */
  readonly chunkSize: number;
  readonly digester: Digester;
}

/**
 * Cuts the files of one layer into chunks and numbers them. Each distinct chunk is sent once, in batches, in order.
 *
 * Digests are taken over the bytes as they come, not over the copies that are sent: whatever mixes up a batch later
 * shows when the written blob is compared with them. Bytes in flight are bounded by the pool: content is taken only
 * when there is a buffer to put it in.
 */
export class ChunkCutter {
  readonly #buffers: BufferPool;
  readonly #options: CutterOptions;
  readonly #send: (batch: ChunkBatch) => void;
  readonly #signal: AbortSignal;
  readonly #known = new Map<string, number>();
  #digests = new Uint8Array(1024 * DIGEST_LENGTH);
  #duplicates = { count: 0, size: 0 };
  #buffer: Uint8Array<ArrayBuffer> | undefined;
  #filled = 0;
  #sizes: number[] = [];

  /**
   * @param buffers Of the cutter's own until it is done; each holds one chunk at least.
   * @param send Takes a batch on its way; its buffer goes back to the pool when it is used.
   */
  constructor(
    buffers: BufferPool,
    options: CutterOptions,
    send: (batch: ChunkBatch) => void,
    signal: AbortSignal,
  ) {
    this.#buffers = buffers;
    this.#options = options;
    this.#send = send;
    this.#signal = signal;
  }

  /**
   * Takes the bytes of one file: chunks at multiples of the chunk size, the last one shorter. One call at a time.
   *
   * @param size Bytes of the content.
   * @returns The numbers of its chunks.
   * @throws {CodedError} ERR_LAYER_INVALID when the content has another size, ERR_LIMIT_EXCEEDED for more chunks than
   *   a blob can have, ERR_ABORTED, and what the content throws.
   */
  async cut(content: AsyncIterable<Uint8Array>, size: number): Promise<number[]> {
    const chunks: number[] = [];
    let rest = size;
    let wanted = Math.min(this.#options.chunkSize, rest);
    /** Set for a chunk that comes in several pieces: what was taken of it, its copy at the end of the batch. */
    let begun: { taken: number; readonly digest: RunningDigest } | undefined;
    for await (const piece of content) {
      for (let offset = 0; offset < piece.length; ) {
        if (wanted === 0) throw otherSize(size, "more");
        const part = piece.subarray(offset, offset + wanted - (begun?.taken ?? 0));
        offset += part.length;
        if (part.length === wanted) {
          chunks.push(await this.#addWhole(part));
        } else {
          const buffer = await this.#room(wanted);
          begun ??= { taken: 0, digest: createChunkDigest(this.#options.digester) };
          buffer.set(part, this.#filled + begun.taken);
          begun.digest.update(part);
          begun.taken += part.length;
          if (begun.taken < wanted) continue;
          chunks.push(this.#addCopied(begun.digest.digest(), wanted));
          begun = undefined;
        }
        rest -= wanted;
        wanted = Math.min(this.#options.chunkSize, rest);
      }
    }
    if (rest > 0) throw otherSize(size, "fewer");
    return chunks;
  }

  /** Sends what is left. */
  finish(): CutChunks {
    this.#sendBatch();
    const digests = this.#digests.slice(0, this.#known.size * DIGEST_LENGTH);
    return { digests, duplicates: this.#duplicates };
  }

  /** A chunk that lies in one piece is copied only when it is new. */
  async #addWhole(bytes: Uint8Array): Promise<number> {
    const digest = digestChunk(this.#options.digester, bytes);
    const known = this.#find(digest, bytes.length);
    if (known !== undefined) return known;
    const buffer = await this.#room(bytes.length);
    buffer.set(bytes, this.#filled);
    return this.#add(digest, bytes.length);
  }

  /** A chunk whose copy stands in the buffer already; a duplicate is written over. */
  #addCopied(digest: Uint8Array, size: number): number {
    return this.#find(digest, size) ?? this.#add(digest, size);
  }

  #find(digest: Uint8Array, size: number): number | undefined {
    const known = this.#known.get(keyOf(digest, size));
    if (known === undefined) return undefined;
    const { count, size: sum } = this.#duplicates;
    this.#duplicates = { count: count + 1, size: sum + size };
    return known;
  }

  #add(digest: Uint8Array, size: number): number {
    const number = this.#known.size;
    if (number === MAX_CHUNK_COUNT) {
      throw new CodedError("ERR_LIMIT_EXCEEDED", `layer has over ${MAX_CHUNK_COUNT} chunks`);
    }
    this.#known.set(keyOf(digest, size), number);
    if (this.#digests.length === number * DIGEST_LENGTH) {
      const longer = new Uint8Array(2 * this.#digests.length);
      longer.set(this.#digests);
      this.#digests = longer;
    }
    this.#digests.set(digest, number * DIGEST_LENGTH);
    this.#filled += size;
    this.#sizes.push(size);
    return number;
  }

  /** The buffer that has room for a chunk behind what is in it. */
  async #room(size: number): Promise<Uint8Array> {
    const buffer = this.#buffer;
    const isFull =
      buffer !== undefined &&
      (this.#filled + size > buffer.length || this.#sizes.length === MAX_BATCH_CHUNKS);
    if (isFull) this.#sendBatch();
    this.#buffer ??= await this.#buffers.take(this.#signal);
    return this.#buffer;
  }

  #sendBatch(): void {
    const buffer = this.#buffer;
    if (buffer === undefined) return;
    const sizes = Uint32Array.from(this.#sizes);
    this.#buffer = undefined;
    this.#filled = 0;
    this.#sizes = [];
    if (sizes.length > 0) this.#send({ buffer, sizes });
    else this.#buffers.give(buffer);
  }
}

function keyOf(digest: Uint8Array, size: number): string {
  return `${byteString(digest)}${size}`;
}

function otherSize(size: number, what: "more" | "fewer"): CodedError {
  return new CodedError("ERR_LAYER_INVALID", `a file of ${size} bytes has ${what} bytes of content`);
}
