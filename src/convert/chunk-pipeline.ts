import { crc32 } from "node:zlib";
import { CodedError } from "../base/errors.ts";
import type { BufferPool } from "../codec/buffer-pool.ts";
import type { EncodedChunks } from "../codec/chunk-tasks.ts";
import type { ChunkWorkers } from "../codec/chunk-workers.ts";
import { DIGEST_LENGTH } from "../codec/digest.ts";
import type { BlobWriter } from "./blob-writer.ts";
import type { CheckedConvertOptions } from "./convert-options.ts";
import type { SourceChunk } from "./source-chunk.ts";

/** Most chunks of a batch, so that tiny files do not make one that takes long. */
const MAX_BATCH_CHUNKS = 1024;

/** What a pipeline needs of {@link ChunkLanes}. */
export interface EncodingLanes {
  readonly workers: Pick<ChunkWorkers, "encode">;
  readonly buffers: BufferPool;
}

/** A chunk on its way to the blob. */
interface ChunkOnItsWay {
  readonly size: number;
  readonly sum: number;
  /** The chunks of its file, to which it is added. */
  readonly file: SourceChunk[];
}

/** A buffer that is being filled with chunks. */
interface Batch {
  readonly buffer: Uint8Array<ArrayBuffer>;
  readonly chunks: ChunkOnItsWay[];
  filled: number;
}

/**
 * Cuts the files of one layer into chunks, has them digested and compressed by worker threads, and writes them to
 * the layer's blob in the order they came, whichever thread is done first.
 *
 * Chunks travel in batches. Bytes in flight are bounded by the buffers of the lanes: a file is read only when
 * there is one to put it in.
 */
export class ChunkPipeline implements AsyncDisposable {
  readonly #writer: BlobWriter;
  readonly #lanes: EncodingLanes;
  readonly #options: CheckedConvertOptions;
  readonly #signal: AbortSignal;
  readonly #stop = new AbortController();
  #batch: Batch | undefined;
  #written: Promise<void> = Promise.resolve();
  #failure: unknown;

  constructor(writer: BlobWriter, lanes: EncodingLanes, options: CheckedConvertOptions, signal: AbortSignal) {
    this.#writer = writer;
    this.#lanes = lanes;
    this.#options = options;
    this.#signal = AbortSignal.any([signal, this.#stop.signal]);
  }

  /**
   * Takes the bytes of one file: chunks at multiples of the chunk size, the last one shorter. One call at a time.
   *
   * @param size Bytes of the content.
   * @returns Chunks of blob 0; the array is complete once {@link ChunkPipeline.finish} is done.
   * @throws {CodedError} ERR_LAYER_INVALID when the content has another size, ERR_ABORTED, what the content
   *   throws, and what storing an earlier chunk threw.
   */
  async storeFile(content: AsyncIterable<Uint8Array>, size: number): Promise<readonly SourceChunk[]> {
    const file: SourceChunk[] = [];
    let rest = size;
    let batch: Batch | undefined;
    let wanted = 0;
    let missing = 0;
    let sum = 0;
    for await (const piece of content) {
      for (let taken = 0; taken < piece.length; ) {
        if (batch === undefined) {
          wanted = Math.min(this.#options.chunkSize, rest);
          if (wanted === 0) throw otherSize(size, "more");
          batch = await this.#batchFor(wanted);
          missing = wanted;
          sum = 0;
        }
        const part = piece.subarray(taken, taken + missing);
        batch.buffer.set(part, batch.filled);
        batch.filled += part.length;
        sum = crc32(part, sum);
        taken += part.length;
        missing -= part.length;
        if (missing > 0) continue;
        batch.chunks.push({ size: wanted, sum, file });
        rest -= wanted;
        batch = undefined;
      }
    }
    if (rest > 0) throw otherSize(size, "fewer");
    return file;
  }

  /** Waits until every chunk is written. */
  async finish(): Promise<void> {
    this.#sendBatch();
    await this.#written;
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Waits until nothing of this layer is under way any more. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#written;
  }

  /** The batch with room for a chunk. */
  async #batchFor(size: number): Promise<Batch> {
    const batch = this.#batch;
    const isFull =
      batch !== undefined &&
      (batch.filled + size > batch.buffer.length || batch.chunks.length === MAX_BATCH_CHUNKS);
    if (isFull) this.#sendBatch();
    try {
      this.#batch ??= { buffer: await this.#lanes.buffers.take(this.#signal), chunks: [], filled: 0 };
    } catch (error) {
      // What stopped this layer is the news, not that it was stopped.
      throw this.#failure ?? error;
    }
    return this.#batch;
  }

  #sendBatch(): void {
    const batch = this.#batch;
    this.#batch = undefined;
    if (batch === undefined) return;
    const { compressor, compressionLevel: level, digester } = this.#options;
    const sizes = Uint32Array.from(batch.chunks, ({ size }) => size);
    const encoding = this.#lanes.workers.encode({
      kind: "encode",
      compressor,
      level,
      digester,
      buffer: batch.buffer,
      sizes,
    });
    this.#written = this.#writeAfter(this.#written, batch.chunks, encoding);
  }

  /** Never rejects: a failure is kept, and thrown by the next call. */
  async #writeAfter(
    earlier: Promise<void>,
    chunks: readonly ChunkOnItsWay[],
    encoding: Promise<EncodedChunks>,
  ): Promise<void> {
    try {
      const [encoded] = await Promise.all([encoding, earlier]);
      if (this.#failure === undefined) await this.#write(chunks, encoded);
      this.#lanes.buffers.give(encoded.buffer);
    } catch (error) {
      this.#failure ??= error;
      this.#stop.abort();
    }
  }

  async #write(chunks: readonly ChunkOnItsWay[], encoded: EncodedChunks): Promise<void> {
    let offset = 0;
    for (const [index, { size, sum, file }] of chunks.entries()) {
      const storedSize = encoded.storedSizes[index] ?? 0;
      const stored = encoded.buffer.subarray(offset, offset + storedSize);
      const digest = encoded.digests.subarray(index * DIGEST_LENGTH, (index + 1) * DIGEST_LENGTH);
      file.push(await this.#writer.addChunk({ stored, decodedSize: size, digest, sum }));
      offset += storedSize;
    }
  }
}

function otherSize(size: number, what: "more" | "fewer"): CodedError {
  return new CodedError("ERR_LAYER_INVALID", `a file of ${size} bytes has ${what} bytes of content`);
}
