import { isCoded } from "../base/errors.ts";
import type { Clock } from "./clock.ts";

/** When a call is made again. */
export interface RetryPolicy {
  /** Calls in all. @default 5 */
  readonly attempts: number;
  /** Longest first wait in milliseconds; it doubles with every attempt. @default 200 */
  readonly firstDelayMs: number;
  /** Longest wait in milliseconds, Retry-After included. @default 30000 */
  readonly maxDelayMs: number;
}

/** The policy of {@link HttpClient} unless told otherwise. */
export const DEFAULT_RETRY: RetryPolicy = { attempts: 5, firstDelayMs: 200, maxDelayMs: 30_000 };

/** What waiting depends on. */
export interface RetryDependencies {
  readonly clock: Clock;
  /** A number in [0, 1). */
  readonly random: () => number;
}

/**
 * The wait before attempt `attempt + 1`, in milliseconds: as long as the server asked, or a random
 * part of the doubled delay, so that clients that failed together do not come back together.
 */
export function retryDelay(
  policy: RetryPolicy,
  attempt: number,
  random: number,
  retryAfterMs: number | undefined,
): number {
  const ceiling = Math.min(policy.maxDelayMs, policy.firstDelayMs * 2 ** (attempt - 1));
  const delay = ceiling * (0.5 + random / 2);
  return Math.min(policy.maxDelayMs, Math.max(delay, (retryAfterMs ?? 0) * (1 + random / 10)));
}

/**
 * Reads a Retry-After header: seconds or an HTTP date.
 *
 * @param wallClockMs The time of day, for dates.
 * @returns Milliseconds from now, or `undefined` when the header is absent or unreadable.
 * @see RFC 9110 10.2.3
 */
export function parseRetryAfter(header: string | undefined, wallClockMs: number): number | undefined {
  if (header === undefined) return undefined;
  if (/^\d{1,9}$/.test(header.trim())) return Number(header) * 1000;
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, date - wallClockMs);
}

/** Runs a call again while it throws ERR_SOURCE_UNAVAILABLE, as often and as late as the policy says. */
export async function retried<Result>(
  call: (attempt: number) => Promise<Result>,
  dependencies: RetryDependencies,
  policy: RetryPolicy,
  signal: AbortSignal,
): Promise<Result> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await call(attempt);
    } catch (error) {
      if (!isCoded(error, "ERR_SOURCE_UNAVAILABLE") || attempt >= policy.attempts) throw error;
      const delay = retryDelay(policy, attempt, dependencies.random(), retryAfterOf(error));
      await dependencies.clock.sleep(delay, signal);
    }
  }
}

const RETRY_AFTER = new WeakMap<object, number>();

/** Remembers how long the server that caused an error asked to wait. */
export function withRetryAfter<Failure extends Error>(
  error: Failure,
  retryAfterMs: number | undefined,
): Failure {
  if (retryAfterMs !== undefined) RETRY_AFTER.set(error, retryAfterMs);
  return error;
}

/** What {@link withRetryAfter} remembered, in milliseconds. */
export function retryAfterOf(error: Error): number | undefined {
  return RETRY_AFTER.get(error);
}
