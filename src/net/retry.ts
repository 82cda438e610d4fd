import { isCoded } from "../base/errors.ts";
import type { Clock } from "./clock.ts";

/**
 * When a call is made again. The client of the place that failed is the only one who tries again: nothing above it
 * does, so these numbers are all that a caller waits for beside the time that the calls themselves take.
 */
export interface RetryPolicy {
  /** Calls in all without progress between them. */
  readonly attempts: number;
  /** Longest first wait in milliseconds; it doubles with every attempt. */
  readonly firstDelayMs: number;
  /** Longest wait in milliseconds, Retry-After included. */
  readonly maxDelayMs: number;
  /** Milliseconds after the first call, or the last byte of a transfer, beyond which no call is begun. */
  readonly deadlineMs: number;
}

/** For work that nobody waits for with a hand on the keyboard: outlives the restart of a registry. */
export const DEFAULT_RETRY: RetryPolicy = {
  attempts: 7,
  firstDelayMs: 500,
  maxDelayMs: 30_000,
  deadlineMs: 180_000,
};

/** For reads of a mounted image, whose reader cannot be interrupted meanwhile. */
export const MOUNT_RETRY: RetryPolicy = {
  attempts: 6,
  firstDelayMs: 200,
  maxDelayMs: 4000,
  deadlineMs: 10_000,
};

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

/** Counts the failures of one piece of work against its policy. */
export class RetryBudget {
  readonly #dependencies: RetryDependencies;
  readonly #policy: RetryPolicy;
  readonly #signal: AbortSignal;
  #attempt = 1;
  #since: number;

  constructor(dependencies: RetryDependencies, policy: RetryPolicy, signal: AbortSignal) {
    this.#dependencies = dependencies;
    this.#policy = policy;
    this.#signal = signal;
    this.#since = dependencies.clock.now();
  }

  /** Bytes were transferred: the deadline counts from here, a long transfer is no reason to give up. */
  moved(): void {
    this.#since = this.#dependencies.clock.now();
  }

  /** Enough was transferred that will stay: forgets the failures so far. */
  progressed(): void {
    this.moved();
    this.#attempt = 1;
  }

  /**
   * Waits before the next attempt.
   *
   * @throws The error itself when it is none that may pass, or when the policy allows no further attempt;
   *   ERR_ABORTED.
   */
  async waitAfter(error: unknown): Promise<void> {
    const { clock, random } = this.#dependencies;
    const { attempts, deadlineMs } = this.#policy;
    if (!isCoded(error, "ERR_SOURCE_UNAVAILABLE") || this.#attempt >= attempts) throw error;
    const delay = retryDelay(this.#policy, this.#attempt++, random(), retryAfterOf(error));
    if (clock.now() + delay - this.#since > deadlineMs) throw error;
    await clock.sleep(delay, this.#signal);
  }
}

/** Runs a call again while it throws ERR_SOURCE_UNAVAILABLE, as often and as late as the policy says. */
export async function retried<Result>(
  call: () => Promise<Result>,
  dependencies: RetryDependencies,
  policy: RetryPolicy,
  signal: AbortSignal,
): Promise<Result> {
  const budget = new RetryBudget(dependencies, policy, signal);
  for (;;) {
    try {
      return await call();
    } catch (error) {
      await budget.waitAfter(error);
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
