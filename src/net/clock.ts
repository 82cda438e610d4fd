import { setTimeout as sleep } from "node:timers/promises";
import { CodedError } from "../base/errors.ts";

/** Time, so that tests need not wait for it. */
export interface Clock {
  /** Milliseconds since some fixed moment; never goes back. */
  now(): number;
  /**
   * Waits.
   *
   * @throws {CodedError} ERR_ABORTED when the signal fires first.
   */
  sleep(milliseconds: number, signal: AbortSignal): Promise<void>;
}

/** The clock of the machine. */
export const SYSTEM_CLOCK: Clock = {
  now: () => performance.now(),
  sleep: async (milliseconds, signal) => {
    try {
      await sleep(milliseconds, undefined, { signal });
    } catch (cause) {
      throw new CodedError("ERR_ABORTED", "a wait was interrupted", { cause });
    }
  },
};
