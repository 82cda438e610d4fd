import { availableParallelism } from "node:os";
import { ChunkWorkers } from "../codec/chunk-workers.ts";

/** Most threads that decode chunks: each takes some 10 MB, and a link is seldom faster than four decode. */
const MAX_DECODE_THREADS = 4;

/** Starts the threads that decode and verify chunks for mounts. */
export function startDecodeWorkers(): ChunkWorkers {
  const workers = new ChunkWorkers(Math.min(availableParallelism(), MAX_DECODE_THREADS));
  workers.start();
  return workers;
}
