import type { ChunkTable } from "../format/blob/chunk-table.ts";
import type { ChunkRun } from "./chunk-source.ts";

/**
 * Stored bytes that a demanded chunk and its unread neighbours are fetched in. Files that are read together mostly lie
 * together, and a request costs a registry some milliseconds whatever its size.
 */
export const READ_AHEAD_SIZE = 2 ** 20;

/** Stored bytes on their way for one who reads on and on: while one request is decoded others come. */
const MAX_READ_AHEAD_SIZE = 8 * 2 ** 20;

/** Readers that are followed at once. */
const MAX_STREAMS = 8;

/** Chunks that a reader may pass over and still be reading on: small files that it does not want. */
const MAX_SKIPPED_CHUNKS = 64;

/** Somebody who reads a blob from front to back. */
interface Stream {
  /** What it asked for last. */
  first: number;
  /** Behind what was fetched for it. */
  end: number;
  size: number;
}

/**
 * Decides how far a blob is fetched when a chunk is demanded: one request's worth, twice as much each time when the
 * reader goes on where it was.
 */
export class ReadAhead {
  readonly #table: ChunkTable;
  /** Last used first. */
  readonly #streams: Stream[] = [];

  constructor(table: ChunkTable) {
    this.#table = table;
  }

  /**
   * The run and the chunks behind it that shall come with it.
   *
   * @param isWanted Whether a chunk is to be fetched, or is on its way; the first one that is not ends the run.
   */
  extend(run: ChunkRun, isWanted: (index: number) => boolean): ChunkRun {
    const stream = this.#follow(run);
    const { storedOffsets, storedSizes, count } = this.#table;
    const limit = (storedOffsets[run.first] ?? 0) + stream.size;
    let end = run.first + run.count;
    while (end < count) {
      const storedEnd = (storedOffsets[end] ?? 0) + (storedSizes[end] ?? 0);
      if (storedEnd > limit || !isWanted(end)) break;
      end++;
    }
    stream.end = Math.max(stream.end, end);
    return { first: run.first, count: end - run.first };
  }

  #follow({ first }: ChunkRun): Stream {
    const place = this.#streams.findIndex(
      (stream) => first > stream.first && first <= stream.end + MAX_SKIPPED_CHUNKS,
    );
    const [known] = place < 0 ? [] : this.#streams.splice(place, 1);
    const stream = known ?? { first, end: first, size: READ_AHEAD_SIZE };
    if (known !== undefined) {
      stream.first = first;
      stream.size = Math.min(MAX_READ_AHEAD_SIZE, stream.size * 2);
    }
    this.#streams.unshift(stream);
    this.#streams.length = Math.min(this.#streams.length, MAX_STREAMS);
    return stream;
  }
}
