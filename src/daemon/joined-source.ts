import { isCoded } from "../base/errors.ts";
import { runsWhere } from "../store/chunk-run.ts";
import type { ChunkedBlob, ChunkRun, ChunkSink, ChunkSource, FetchOptions } from "../store/chunk-source.ts";

/**
 * The sources of one blob that several images share. The oldest is asked first, another one for what it does not
 * give: the image that brought a source can be unmounted at any time.
 */
export class JoinedSource implements ChunkSource {
  readonly name: string;
  readonly #sources = new Set<ChunkSource>();

  constructor(first: ChunkSource) {
    this.name = first.name;
    this.#sources.add(first);
  }

  add(source: ChunkSource): void {
    this.#sources.add(source);
  }

  remove(source: ChunkSource): void {
    this.#sources.delete(source);
  }

  async fetch(blob: ChunkedBlob, run: ChunkRun, options: FetchOptions, sink: ChunkSink): Promise<void> {
    const given = new Set<number>();
    const failures: unknown[] = [];
    for (const source of [...this.#sources]) {
      try {
        for (const part of runsWhere(run, (index) => !given.has(index))) {
          await source.fetch(blob, part, options, async (index, decoded) => {
            given.add(index);
            await sink(index, decoded);
          });
        }
        return;
      } catch (error) {
        if (options.signal.aborted || !isCoded(error)) throw error;
        failures.push(error);
      }
    }
    // Bytes that are wrong must not pass for a place that cannot be reached.
    throw failures.find((error) => isCoded(error, "ERR_CHUNK_CORRUPT", "ERR_CACHE_IO")) ?? failures[0];
  }
}
