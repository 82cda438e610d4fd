import type { Compressor, Digester } from "../base/algorithm.ts";
import type { ChunkTable } from "../format/blob/chunk-table.ts";

/** A blob whose chunks can be fetched: its name and its chunk table. */
export interface ChunkedBlob {
  /** 64 hex digits. */
  readonly id: string;
  readonly compressor: Compressor;
  readonly digester: Digester;
  /** Where every chunk lies in stored and decoded space. */
  readonly table: ChunkTable;
  /**
   * 32 bytes per chunk, in index order, from a trusted place. Zeros mean that the digest of this one is not
   * known, absent that none is: such chunks cannot be verified.
   */
  readonly digests: Uint8Array | undefined;
}

/** Neighbouring chunks of one blob, by index. */
export interface ChunkRun {
  readonly first: number;
  readonly count: number;
}

/** Why chunks are fetched. A reader waits for `demand`; `prefetch` yields to it. */
export type FetchClass = "demand" | "prefetch";

export interface FetchOptions {
  readonly class: FetchClass;
  readonly signal: AbortSignal;
}

/**
 * Takes decoded, verified chunks as they arrive, in any order. `decoded` may be kept but not changed: others may
 * have it too. When the sink fails, so does the fetch.
 */
export type ChunkSink = (index: number, decoded: Uint8Array) => void | Promise<void>;

/** A place that answers with decoded, verified chunks. */
export interface ChunkSource {
  readonly name: string;

  /**
   * Fetches every chunk of the run and gives each to the sink once.
   *
   * @throws {CodedError} ERR_CHUNK_CORRUPT when bytes do not decode or do not match their digest,
   *   ERR_CHUNK_NOT_FOUND, ERR_SOURCE_UNAVAILABLE, ERR_ABORTED. Chunks already given to the sink stay good.
   */
  fetch(blob: ChunkedBlob, run: ChunkRun, options: FetchOptions, sink: ChunkSink): Promise<void>;
}
