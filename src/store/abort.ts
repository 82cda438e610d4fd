import { CodedError } from "../base/errors.ts";

/** The error of a call whose signal fired. */
export function abortedError(signal: AbortSignal): CodedError {
  return new CodedError("ERR_ABORTED", "the read was given up", { cause: signal.reason });
}

/**
 * Leaves when the signal has fired.
 *
 * @throws {CodedError} ERR_ABORTED.
 */
export function throwIfAborted(signal: AbortSignal): void {
  if (signal.aborted) throw abortedError(signal);
}

/** The result of `promise`, or ERR_ABORTED as soon as the signal fires; the promise itself goes on. */
export async function orAborted<Result>(promise: Promise<Result>, signal: AbortSignal): Promise<Result> {
  throwIfAborted(signal);
  return new Promise<Result>((resolve, reject) => {
    const onAbort = (): void => reject(abortedError(signal));
    signal.addEventListener("abort", onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}
