import { setMaxListeners } from "node:events";
import { orAborted, throwIfAborted } from "../base/abort.ts";
import { runsWhere } from "./chunk-run.ts";
import type { ChunkRun, FetchOptions } from "./chunk-source.ts";

/** Makes chunks of one blob ready, and tells of each. */
export type FillChunks = (
  run: ChunkRun,
  options: FetchOptions,
  onReady: (index: number) => void,
) => Promise<void>;

/** One fetch on behalf of everybody who waits for its chunks. */
class Flight {
  readonly #abort = new AbortController();
  readonly #promote = new AbortController();
  readonly options: FetchOptions;
  #waiting = 0;

  constructor(fetchClass: FetchOptions["class"]) {
    // Every request of the flight waits on them.
    setMaxListeners(0, this.#abort.signal, this.#promote.signal);
    this.options = { class: fetchClass, signal: this.#abort.signal, promoted: this.#promote.signal };
  }

  join({ class: fetchClass }: FetchOptions): void {
    this.#waiting++;
    if (fetchClass === "demand" && this.options.class === "prefetch") this.#promote.abort();
  }

  /** @param gaveUp Whether who waited has not got what it wanted. Only then, and as the last one, it ends the flight. */
  leave(gaveUp: boolean): void {
    this.#waiting--;
    if (gaveUp && this.#waiting === 0) this.#abort.abort();
  }
}

interface PendingChunk {
  readonly flight: Flight;
  readonly ready: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Fills each chunk of a blob only once at a time: who wants one that is on its way waits for that. A demand that joins a
 * prefetch makes it as urgent as itself.
 */
export class SingleFlight {
  readonly #fill: FillChunks;
  readonly #pending = new Map<number, PendingChunk>();

  constructor(fill: FillChunks) {
    this.#fill = fill;
  }

  /** True while a chunk is on its way. */
  isPending(index: number): boolean {
    return this.#pending.has(index);
  }

  /**
   * Returns when every chunk of the run is ready.
   *
   * @param ahead The run and what shall be brought along with it, which nobody waits for.
   * @throws {CodedError} ERR_ABORTED, and what filling throws.
   */
  async fetch(run: ChunkRun, options: FetchOptions, ahead: ChunkRun = run): Promise<void> {
    throwIfAborted(options.signal);
    for (const part of runsWhere(ahead, (index) => !this.#pending.has(index)))
      this.#start(part, options.class);
    const chunks: PendingChunk[] = [];
    for (let index = run.first; index < run.first + run.count; index++) {
      chunks.push(this.#pending.get(index) as PendingChunk);
    }
    const flights = new Set(chunks.map(({ flight }) => flight));
    for (const flight of flights) flight.join(options);
    let gaveUp = true;
    try {
      await orAborted(Promise.all(chunks.map(({ ready }) => ready)), options.signal);
      gaveUp = false;
    } finally {
      for (const flight of flights) flight.leave(gaveUp);
    }
  }

  #start(run: ChunkRun, fetchClass: FetchOptions["class"]): void {
    const flight = new Flight(fetchClass);
    const left = new Set<number>();
    for (let index = run.first; index < run.first + run.count; index++) {
      left.add(index);
      this.#pending.set(index, pendingChunk(flight));
    }
    const settle = (index: number, how: (chunk: PendingChunk) => void): void => {
      const chunk = this.#pending.get(index);
      if (!left.delete(index) || chunk?.flight !== flight) return;
      this.#pending.delete(index);
      how(chunk);
    };
    const failAll = (error: unknown): void => {
      for (const index of [...left]) settle(index, ({ reject }) => reject(error));
    };
    // A flight that everybody left is of no use to those who come later.
    const { signal } = flight.options;
    signal.addEventListener("abort", () => failAll(signal.reason), { once: true });
    const onReady = (index: number): void => settle(index, ({ resolve }) => resolve());
    // Not before those who wait have joined.
    const filling = Promise.resolve().then(() => this.#fill(run, flight.options, onReady));
    filling.then(() => failAll(new Error("a fetch left out chunks of a run it said it gave")), failAll);
  }
}

function pendingChunk(flight: Flight): PendingChunk {
  let resolve = (): void => {};
  let reject = (_error: unknown): void => {};
  const ready = new Promise<void>((onReady, onFailure) => {
    resolve = onReady;
    reject = onFailure;
  });
  // Those who wait see the failure; when nobody does it is no news.
  ready.catch(() => {});
  return { flight, ready, resolve, reject };
}
