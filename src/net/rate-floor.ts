import type { Clock } from "./clock.ts";

/** How slow a transfer may be. */
export interface RateLimits {
  /** Bytes per second. */
  readonly minimumRate: number;
  /** Milliseconds over which the rate is taken. */
  readonly windowMs: number;
}

/** Far below any line that is of use, so that only a server that means to hold us falls under it. */
export const DEFAULT_RATE: RateLimits = { minimumRate: 4096, windowMs: 60_000 };

/**
 * Tells whether a transfer falls under its least rate. Only the time that the server takes counts: a slow reader or
 * writer on our side is not its fault.
 */
export class RateFloor {
  readonly #clock: Clock;
  readonly #limits: RateLimits;
  #since: number;
  #waitedMs = 0;
  #bytes = 0;

  constructor(clock: Clock, limits: RateLimits) {
    this.#clock = clock;
    this.#limits = limits;
    this.#since = clock.now();
  }

  /** From here on we wait for the server. */
  begin(): void {
    this.#since = this.#clock.now();
  }

  /** The server took or gave bytes; true when it was too slow. */
  isTooSlowAfter(bytes: number): boolean {
    const { minimumRate, windowMs } = this.#limits;
    this.#bytes += bytes;
    this.#waitedMs += this.#clock.now() - this.#since;
    if (this.#waitedMs < windowMs) return false;
    const isTooSlow = this.#bytes * 1000 < minimumRate * this.#waitedMs;
    this.#waitedMs = 0;
    this.#bytes = 0;
    return isTooSlow;
  }

  /** For messages. */
  toString(): string {
    return `under ${this.#limits.minimumRate} bytes per second for ${this.#limits.windowMs} ms`;
  }
}
