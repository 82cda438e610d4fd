import { setTimeout as delay } from "node:timers/promises";
import { abortedError } from "../base/abort.ts";
import { ERRORS, isCoded } from "../base/errors.ts";
import { integerOption } from "../base/options.ts";
import { runsWhere } from "./chunk-run.ts";
import type { ChunkSource } from "./chunk-source.ts";

/** Waits; rejects with ERR_ABORTED when the signal fires. */
export type Sleep = (delayMs: number, signal: AbortSignal) => Promise<void>;

export interface RetryOptions {
  /** Fetches in all, the first included. @default 4 */
  readonly attempts?: number;
  /** Longest wait before the second attempt; doubles with each one. @default 200 */
  readonly delayMs?: number;
  /** Longest wait before any attempt. @default 5000 */
  readonly maxDelayMs?: number;
  /** @default a timer */
  readonly sleep?: Sleep;
  /** A number in [0, 1). @default Math.random */
  readonly random?: () => number;
}

/** Waits with a timer. */
export const sleepOnTimer: Sleep = async (delayMs, signal) => {
  try {
    await delay(delayMs, undefined, { signal });
  } catch {
    throw abortedError(signal);
  }
};

/**
 * Asks again for what is still missing when a fetch fails with a code that may pass (`retryable` in the
 * error table). The last failure is thrown as it is. Waits are drawn from [half, all) of the delay, so
 * that many readers do not come back together.
 */
export function retry(source: ChunkSource, options: RetryOptions = {}): ChunkSource {
  const attempts = integerOption("attempts", options.attempts ?? 4, 1, 100);
  const delayMs = integerOption("delayMs", options.delayMs ?? 200, 0, 3_600_000);
  const maxDelayMs = integerOption("maxDelayMs", options.maxDelayMs ?? 5000, 0, 3_600_000);
  const { sleep = sleepOnTimer, random = Math.random } = options;
  return {
    name: source.name,
    async fetch(blob, run, fetchOptions, sink) {
      const given = new Set<number>();
      for (let attempt = 1; ; attempt++) {
        try {
          for (const part of runsWhere(run, (index) => !given.has(index))) {
            await source.fetch(blob, part, fetchOptions, async (index, decoded) => {
              given.add(index);
              await sink(index, decoded);
            });
          }
          return;
        } catch (error) {
          if (attempt >= attempts || !isCoded(error) || !ERRORS[error.code].retryable) throw error;
        }
        const longest = Math.min(maxDelayMs, delayMs * 2 ** (attempt - 1));
        await sleep((longest * (1 + random())) / 2, fetchOptions.signal);
      }
    },
  };
}
