import type { Compressor, Digester } from "../base/algorithm.ts";
import type { ChunkTable } from "../format/blob/chunk-table.ts";
import type { FetchClass } from "./blob-source.ts";

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

/** A file that holds the decoded space of a blob. */
export interface ChunkFile {
  /** Open for writing as long as the fetch runs. */
  readonly fd: number;
  /** For messages. */
  readonly path: string;
}

export interface FetchOptions {
  readonly class: FetchClass;
  /** Fires when a reader demands what is being prefetched: it is as urgent as a demand from then on. */
  readonly promoted?: AbortSignal;
  readonly signal: AbortSignal;
  /**
   * Where the chunks shall end up. A source that decodes in threads may let them write there, when they have proven the
   * bytes; it then tells the sink of a chunk without giving its bytes. The file is not synced.
   */
  readonly file?: ChunkFile;
}

/**
 * Takes decoded, verified chunks as they arrive, in any order. `decoded` may be kept but not changed: others may
 * have it too. It is absent when the chunk was written to {@link FetchOptions.file}. When the sink fails, so does the
 * fetch.
 */
export type ChunkSink = (index: number, decoded: Uint8Array | undefined) => void | Promise<void>;

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
