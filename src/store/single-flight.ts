import { abortedError, throwIfAborted } from "../base/abort.ts";
import { runsWhere } from "./chunk-run.ts";
import type {
  ChunkedBlob,
  ChunkRun,
  ChunkSink,
  ChunkSource,
  FetchClass,
  FetchOptions,
} from "./chunk-source.ts";
import { checkRun } from "./decode-chunk.ts";

/** One fetch on behalf of everybody who waits for its chunks. */
class Flight {
  /** Fires when the last of those who wait has left; never because the first one did. */
  readonly #abort = new AbortController();
  #waiting = 0;

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  join(): void {
    this.#waiting++;
  }

  leave(): void {
    this.#waiting--;
    if (this.#waiting === 0) this.#abort.abort();
  }
}

interface PendingChunk {
  readonly flight: Flight;
  readonly decoded: Promise<Uint8Array>;
}

/**
 * Asks `source` for a chunk only once at a time: a fetch joins those under way. Its chunks may be given
 * to several sinks, which must not change them. A demand fetch that joins a prefetch waits for it as it is.
 */
export function singleFlight(source: ChunkSource): ChunkSource {
  const pendingOf = new Map<string, Map<number, PendingChunk>>();

  /** Starts a fetch of chunks that nobody fetches yet. */
  function start(blob: ChunkedBlob, run: ChunkRun, fetchClass: FetchClass): void {
    const pending = pendingOf.get(blob.id) ?? new Map<number, PendingChunk>();
    pendingOf.set(blob.id, pending);
    const flight = new Flight();
    const settle = new Map<number, { resolve(decoded: Uint8Array): void; reject(error: unknown): void }>();
    for (let index = run.first; index < run.first + run.count; index++) {
      const decoded = new Promise<Uint8Array>((resolve, reject) => settle.set(index, { resolve, reject }));
      // Those who wait see the failure; when all have left nobody does.
      decoded.catch(() => {});
      pending.set(index, { flight, decoded });
    }
    const forget = (index: number): void => {
      if (pending.get(index)?.flight === flight) pending.delete(index);
      if (pending.size === 0 && pendingOf.get(blob.id) === pending) pendingOf.delete(blob.id);
    };
    // A flight that everybody left is of no use to those who come later.
    flight.signal.addEventListener("abort", () => {
      for (const index of settle.keys()) forget(index);
    });
    const deliver: ChunkSink = (index, decoded) => {
      settle.get(index)?.resolve(decoded);
      settle.delete(index);
      forget(index);
    };
    const fail = (error: unknown): void => {
      for (const [index, { reject }] of settle) {
        reject(error);
        forget(index);
      }
    };
    const missing = (): Error => new Error(`${source.name} left out chunks of a run it said it gave`);
    source
      .fetch(blob, run, { class: fetchClass, signal: flight.signal }, deliver)
      .then(() => settle.size > 0 && fail(missing()), fail);
  }

  return {
    name: source.name,
    async fetch(blob, run, options, sink) {
      throwIfAborted(options.signal);
      checkRun(blob, run.first, run.count);
      const isPending = (index: number): boolean => pendingOf.get(blob.id)?.has(index) === true;
      for (const part of runsWhere(run, (index) => !isPending(index))) start(blob, part, options.class);
      const chunks = Array.from({ length: run.count }, (_, position): [number, PendingChunk] => {
        const index = run.first + position;
        return [index, pendingOf.get(blob.id)?.get(index) as PendingChunk];
      });
      await receive(chunks, options, sink);
    },
  };
}

/** Passes chunks to a sink until all are there, one fails, or the caller leaves. */
async function receive(
  chunks: readonly (readonly [number, PendingChunk])[],
  { signal }: FetchOptions,
  sink: ChunkSink,
): Promise<void> {
  const flights = new Set(chunks.map(([, { flight }]) => flight));
  for (const flight of flights) flight.join();
  let isOver = false;
  let onAbort = (): void => {};
  try {
    const left = new Promise<never>((_, reject) => {
      onAbort = () => reject(abortedError(signal));
      if (signal.aborted) onAbort();
      else signal.addEventListener("abort", onAbort, { once: true });
    });
    const all = chunks.map(async ([index, { decoded }]) => {
      const bytes = await decoded;
      if (!isOver) await sink(index, bytes);
    });
    await Promise.race([Promise.all(all), left]);
  } finally {
    isOver = true;
    signal.removeEventListener("abort", onAbort);
    for (const flight of flights) flight.leave();
  }
}
