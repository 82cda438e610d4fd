import type { CachedBlob } from "../store/cached-blob.ts";
import type { FetchOptions } from "../store/chunk-source.ts";
import type { ChunkTrace } from "./chunk-trace.ts";
import { PADDING, type ReadPlan } from "./filesystem.ts";
import { type MountBlobs, type SharedBlob, shareBlob } from "./mount-blob.ts";

/** The chunks of one mounted image: opens its blobs when they are first needed and fetches what a read lacks. */
export class ImageChunks {
  /** What worker threads may read on their own, by blob index; grows as blobs are opened. */
  readonly shared: (SharedBlob | undefined)[];
  readonly #blobs: MountBlobs;
  readonly #listeners: ((blobIndex: number, blob: SharedBlob) => void)[] = [];

  readonly #trace: ChunkTrace | undefined;

  /** @param trace Where it is noted which chunks are read. */
  constructor(blobs: MountBlobs, count: number, trace?: ChunkTrace) {
    this.#blobs = blobs;
    this.#trace = trace;
    this.shared = Array.from({ length: count }, () => undefined);
  }

  /** Calls `listener` for every blob opened from now on. */
  onOpen(listener: (blobIndex: number, blob: SharedBlob) => void): void {
    this.#listeners.push(listener);
  }

  /**
   * Opens a blob, so that reads of its ready chunks need no help of the main thread.
   *
   * @throws {CodedError} as MountBlobs.open.
   */
  async open(blobIndex: number, signal: AbortSignal): Promise<CachedBlob> {
    const blob = await this.#blobs.open(blobIndex, { signal });
    if (this.shared[blobIndex] === undefined) {
      const touches = this.#trace?.touchesOf(blobIndex, blob.cache.blob.table.count);
      const shared = shareBlob(blob, touches);
      this.shared[blobIndex] = shared;
      for (const listener of this.#listeners) listener(blobIndex, shared);
    }
    return blob;
  }

  /**
   * Returns when every piece of the plan is ready.
   *
   * @throws {CodedError} as MountBlobs.open and CachedBlob.ensure.
   */
  async ensure(plan: ReadPlan, options: FetchOptions): Promise<void> {
    const runs = runsOf(plan);
    await Promise.all(
      runs.map(async ({ blobIndex, first, count }) => {
        const blob = await this.open(blobIndex, options.signal);
        await blob.ensure({ first, count }, options);
      }),
    );
  }
}

/** Neighbouring chunks of the plan, one run for each stretch. */
function runsOf(plan: ReadPlan): { blobIndex: number; first: number; count: number }[] {
  const runs: { blobIndex: number; first: number; count: number }[] = [];
  for (const { blobIndex, chunkIndex } of plan.pieces) {
    if (chunkIndex === PADDING) continue;
    const last = runs.at(-1);
    if (last !== undefined && last.blobIndex === blobIndex && last.first + last.count === chunkIndex)
      last.count++;
    else runs.push({ blobIndex, first: chunkIndex, count: 1 });
  }
  return runs;
}
