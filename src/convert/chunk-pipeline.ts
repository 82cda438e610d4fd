import type { EncodedChunks } from "../codec/chunk-tasks.ts";
import type { ChunkWorkers } from "../codec/chunk-workers.ts";
import type { BlobWriter } from "./blob-writer.ts";
import type { ChunkBatch } from "./chunk-cutter.ts";
import type { CheckedConvertOptions } from "./convert-options.ts";

/**
 * Has the batches of one layer compressed by worker threads, and writes them to the layer's blob in the order they
 * came, whichever thread is done first.
 */
export class ChunkPipeline implements AsyncDisposable {
  readonly #writer: BlobWriter;
  readonly #workers: Pick<ChunkWorkers, "encode">;
  readonly #options: Pick<CheckedConvertOptions, "compressor" | "compressionLevel">;
  #written: Promise<unknown> = Promise.resolve();

  constructor(
    writer: BlobWriter,
    workers: Pick<ChunkWorkers, "encode">,
    options: Pick<CheckedConvertOptions, "compressor" | "compressionLevel">,
  ) {
    this.#writer = writer;
    this.#workers = workers;
    this.#options = options;
  }

  /**
   * Stores a batch behind those before.
   *
   * @returns The buffer of the batch, when it is free again.
   * @throws {CodedError} ERR_TARGET_IO, ERR_LIMIT_EXCEEDED, ERR_WORKER_FAILED, ERR_CODEC_MISSING; also what an earlier
   *   batch failed with.
   */
  store(batch: ChunkBatch): Promise<Uint8Array<ArrayBuffer>> {
    const written = this.#write(batch, this.#encode(batch), this.#written);
    this.#written = written;
    // Whoever stores hears of it; the chain is for the next batch.
    written.catch(() => undefined);
    return written;
  }

  /** Waits until every batch is written; throws as {@link ChunkPipeline.store}. */
  async finish(): Promise<void> {
    await this.#written;
  }

  /** Waits until nothing of this layer is under way any more. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#written.catch(() => undefined);
  }

  async #encode({ buffer, sizes }: ChunkBatch): Promise<EncodedChunks> {
    const { compressor, compressionLevel: level } = this.#options;
    if (compressor === "none") return { buffer, storedSizes: sizes };
    return await this.#workers.encode({ kind: "encode", compressor, level, buffer, sizes });
  }

  async #write(
    { sizes }: ChunkBatch,
    encoding: Promise<EncodedChunks>,
    earlier: Promise<unknown>,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const [{ buffer, storedSizes }] = await Promise.all([encoding, earlier]);
    await this.#writer.append(buffer, storedSizes, sizes);
    return buffer;
  }
}
