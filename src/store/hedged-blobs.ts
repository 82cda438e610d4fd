import type { BlobSource, RangeOptions } from "./blob-source.ts";
import { type Schedule, scheduleOnTimer } from "./schedule.ts";

/** How a slow request is helped. */
export interface HedgeOptions {
  /** A second request is made when the first one takes longer than this times the 95th percentile. @default 1.5 */
  readonly factor?: number;
  /** The least wait before it, in milliseconds. @default 50 */
  readonly leastDelayMs?: number;
  /** Second requests for each first one, at most. @default 0.05 */
  readonly budget?: number;
  /** Milliseconds of a steady clock. @default performance.now */
  readonly now?: () => number;
  /** @default a timer */
  readonly schedule?: Schedule;
}

/** Second requests made, and those that came first. */
export interface HedgeCounts {
  hedges: number;
  wins: number;
}

/** Durations that are remembered, and how many there must be before anything is concluded. */
const REMEMBERED = 128;
const NEEDED = 20;
/** Second requests that may be saved up. */
const MAX_SAVED = 4;

/**
 * Asks a second time for what a reader demands when the answer is late by what is usual, takes what comes first and ends
 * the other. Prefetches are not hedged, nor places that say it would not help.
 *
 * @param counts Is kept up to date.
 */
export function hedgedBlobs(
  place: BlobSource,
  options: HedgeOptions = {},
  counts: HedgeCounts = { hedges: 0, wins: 0 },
): BlobSource {
  if (place.isHedgeable !== true) return place;
  const { factor = 1.5, leastDelayMs = 50, budget = 0.05 } = options;
  const { now = () => performance.now(), schedule = scheduleOnTimer } = options;
  const durations: number[] = [];
  let next = 0;
  let saved = 0;

  const delayMs = (): number | undefined => {
    if (durations.length < NEEDED) return undefined;
    const sorted = [...durations].sort((left, right) => left - right);
    return Math.max(leastDelayMs, factor * (sorted[Math.floor(sorted.length * 0.95)] ?? 0));
  };

  async function hedged(
    blobId: string,
    offset: number,
    length: number,
    read: RangeOptions,
    waitMs: number,
  ): Promise<Uint8Array> {
    const stops = [new AbortController(), new AbortController()] as const;
    const stopBoth = (): void => {
      for (const stop of stops) stop.abort(read.signal.reason);
    };
    read.signal.addEventListener("abort", stopBoth, { once: true });
    const attempt = (turn: 0 | 1, into: Uint8Array | undefined): Promise<Uint8Array> => {
      const { into: _, ...rest } = read;
      const given = { ...rest, signal: stops[turn].signal, ...(into !== undefined && { into }) };
      return place.read(blobId, offset, length, given).then((bytes) => {
        if (turn === 1) counts.wins++;
        return bytes;
      });
    };
    let cancel = (): void => {};
    try {
      const first = attempt(0, read.into);
      const second = new Promise<Uint8Array>((resolve) => {
        cancel = schedule(() => {
          if (saved < 1) return;
          saved--;
          counts.hedges++;
          // Memory of its own: the first one may still write to the other.
          attempt(1, undefined).then(resolve, () => {});
        }, waitMs);
      });
      // A failure is the place's answer, and tried again there: only slowness is helped here.
      return await Promise.race([first, second]);
    } finally {
      cancel();
      stopBoth();
      read.signal.removeEventListener("abort", stopBoth);
    }
  }

  return {
    name: place.name,
    isHedgeable: true,
    size: (blobId, read) => place.size(blobId, read),
    async read(blobId, offset, length, read) {
      const waitMs = read.class === "prefetch" ? undefined : delayMs();
      saved = Math.min(MAX_SAVED, saved + budget);
      const startedMs = now();
      const bytes = await (waitMs === undefined || read.signal.aborted
        ? place.read(blobId, offset, length, read)
        : hedged(blobId, offset, length, read, waitMs));
      durations[next++ % REMEMBERED] = now() - startedMs;
      return bytes;
    },
  };
}
