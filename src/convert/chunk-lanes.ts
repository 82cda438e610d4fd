import { BufferPool } from "../codec/buffer-pool.ts";
import { ChunkWorkers } from "../codec/chunk-workers.ts";

/** Least bytes of a batch of chunks: most files are small, and a message for each would cost more than its work. */
const MIN_BATCH_SIZE = 2 ** 20;

/** The threads of a conversion and the buffers that carry chunks to them, shared by all its layers. */
export class ChunkLanes implements AsyncDisposable {
  readonly workers: ChunkWorkers;
  /** Buffers that hold one chunk or more. */
  readonly buffers: BufferPool;

  constructor({ jobs, chunkSize }: { readonly jobs: number; readonly chunkSize: number }) {
    this.workers = new ChunkWorkers(jobs);
    // One that a layer fills, one in work and one in wait for each thread; one that is written.
    this.buffers = new BufferPool(3 * jobs + 1, Math.max(MIN_BATCH_SIZE, chunkSize));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.workers[Symbol.asyncDispose]();
  }
}
