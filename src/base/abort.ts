import { CodedError } from "./errors.ts";

/** @throws {CodedError} ERR_ABORTED when the signal has fired. */
export function throwIfAborted(signal: AbortSignal): void {
  if (signal.aborted) throw abortedError(signal);
}

/**
 * Waits for work that others wait for too: the signal ends this wait, not the work.
 *
 * @throws {CodedError} ERR_ABORTED when the signal fires first, or what the work throws.
 */
export async function orAborted<Result>(work: Promise<Result>, signal: AbortSignal): Promise<Result> {
  // Work that fails after its waiters left is nobody's news.
  work.catch(() => undefined);
  throwIfAborted(signal);
  let stop = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(abortedError(signal));
    signal.addEventListener("abort", stop, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

/** The error of a call whose signal fired. */
export function abortedError(signal: AbortSignal): CodedError {
  return new CodedError("ERR_ABORTED", "interrupted", { cause: signal.reason });
}

/** Resolves when the signal fires. */
export function fired(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}
