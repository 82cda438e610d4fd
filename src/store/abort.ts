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
