import type { ChunkTable } from "../format/blob/chunk-table.ts";
import type { ChunkRun } from "./chunk-source.ts";

/** One ranged request: neighbouring chunks and the stored bytes that hold them. */
export interface ChunkRequest extends ChunkRun {
  /** Where the range starts in the blob file. */
  readonly offset: number;
  readonly length: number;
}

/** Unwanted bytes between two chunks that are read rather than a second request made. */
const MAX_GAP = 16 * 1024;

/**
 * Cuts a run into requests of at most `requestSize` stored bytes. A chunk is never split, so one that
 * is larger makes a request of its own. The run must lie inside the table.
 */
export function planRequests(table: ChunkTable, run: ChunkRun, requestSize: number): ChunkRequest[] {
  const requests: ChunkRequest[] = [];
  let first = run.first;
  let offset = 0;
  let end = 0;
  for (let index = run.first; index < run.first + run.count; index++) {
    const start = table.storedOffsets[index] as number;
    const chunkEnd = start + (table.storedSizes[index] as number);
    // Only RAFS v5 has chunks whose stored order is not their index order.
    const isNeighbour = start >= end && start - end <= MAX_GAP && chunkEnd - offset <= requestSize;
    if (index > run.first && !isNeighbour) {
      requests.push({ first, count: index - first, offset, length: end - offset });
      first = index;
    }
    if (index === first) offset = start;
    end = chunkEnd;
  }
  if (run.count > 0) {
    requests.push({ first, count: run.first + run.count - first, offset, length: end - offset });
  }
  return requests;
}
