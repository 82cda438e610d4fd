import { CodedError } from "../base/errors.ts";

/**
 * Throws when the signal fired.
 *
 * @throws {CodedError} ERR_ABORTED.
 */
export function throwIfAborted(signal: AbortSignal): void {
  if (signal.aborted) throw new CodedError("ERR_ABORTED", "interrupted", { cause: signal.reason });
}
