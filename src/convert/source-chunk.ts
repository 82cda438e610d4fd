import type { Chunk } from "../image/chunk.ts";

/** A chunk of a file as it was read from its source. */
export interface SourceChunk extends Chunk {
  readonly digest: Uint8Array;
  /**
   * CRC-32 (zlib's) of the file's bytes, taken as they were read. The digest comes from a worker thread and says
   * what was stored; this says that it is what the file has there. It never goes into an image.
   */
  readonly sum: number;
}

/** The {@link SourceChunk.sum} of a chunk; absent for one that was not read from a source. */
export function sourceSum(chunk: Chunk | SourceChunk): number | undefined {
  return "sum" in chunk ? chunk.sum : undefined;
}
