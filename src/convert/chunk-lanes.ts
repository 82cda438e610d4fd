import { BufferPool } from "../codec/buffer-pool.ts";
import { ChunkWorkers } from "../codec/chunk-workers.ts";
import type { CheckedConvertOptions } from "./convert-options.ts";
import { LayerThread } from "./layer-thread.ts";
import type { LayerTreeOptions } from "./layer-tree.ts";

/** Least bytes of a batch of chunks: most files are small, and a message for each would cost more than its work. */
const MIN_BATCH_SIZE = 2 ** 20;

/** The threads of a conversion, shared by all its layers. */
export class ChunkLanes implements AsyncDisposable {
  /** Compress and check chunks. */
  readonly workers: ChunkWorkers;
  readonly options: LayerTreeOptions;
  /** Buffers of one layer, and their size. One is filled, one is written, the others are in work. */
  readonly #bufferCount: number;
  readonly #bufferSize: number;
  readonly #idle: LayerThread[] = [];
  readonly #threads = new Set<LayerThread>();

  constructor({
    jobs,
    chunkSize,
    compressor,
    digester,
  }: LayerTreeOptions & Pick<CheckedConvertOptions, "jobs">) {
    this.workers = new ChunkWorkers(jobs);
    this.options = { chunkSize, compressor, digester };
    this.#bufferCount = jobs + 2;
    this.#bufferSize = Math.max(MIN_BATCH_SIZE, chunkSize);
  }

  /** Buffers for a layer that is read without a layer thread. */
  newBuffers(): BufferPool {
    return new BufferPool(this.#bufferCount, this.#bufferSize);
  }

  /** Lends a layer thread, which serves the next one unless `use` fails. */
  async withLayerThread<Result>(use: (thread: LayerThread) => Promise<Result>): Promise<Result> {
    const thread = this.#idle.pop() ?? this.#startThread();
    try {
      const result = await use(thread);
      this.#idle.push(thread);
      return result;
    } catch (error) {
      this.#threads.delete(thread);
      await thread[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Ends all threads, which must have nothing to do, and gives their memory back. New work starts new ones. */
  async rest(): Promise<void> {
    await Promise.all([this.workers.rest(), this.#endThreads()]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.workers[Symbol.asyncDispose](), this.#endThreads()]);
  }

  #startThread(): LayerThread {
    const buffers = { bufferCount: this.#bufferCount, bufferSize: this.#bufferSize };
    const thread = new LayerThread({ ...this.options, ...buffers });
    this.#threads.add(thread);
    return thread;
  }

  async #endThreads(): Promise<void> {
    const threads = [...this.#threads];
    this.#threads.clear();
    this.#idle.length = 0;
    await Promise.all(threads.map((thread) => thread[Symbol.asyncDispose]()));
  }
}
