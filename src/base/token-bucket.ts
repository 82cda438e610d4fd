/** Bounds a rate: what is taken beyond it must wait. Knows no clock; times are milliseconds of a steady one. */
export class TokenBucket {
  readonly #rate: number;
  readonly #burst: number;
  #tokens: number;
  #filledMs: number;

  /**
   * @param rate Tokens a second; may be infinite.
   * @param burst Tokens that may be taken at once after a rest.
   */
  constructor(rate: number, burst: number, nowMs: number) {
    this.#rate = rate;
    this.#burst = burst;
    this.#tokens = burst;
    this.#filledMs = nowMs;
  }

  /** Takes tokens. @returns Milliseconds to wait before they may be used; who comes later waits longer. */
  take(count: number, nowMs: number): number {
    if (this.#rate === Number.POSITIVE_INFINITY) return 0;
    const earned = ((nowMs - this.#filledMs) / 1000) * this.#rate;
    this.#tokens = Math.min(this.#burst, this.#tokens + earned) - count;
    this.#filledMs = nowMs;
    return Math.max(0, (-this.#tokens / this.#rate) * 1000);
  }
}
