import { RetryBudget, type RetryDependencies, type RetryPolicy } from "./retry.ts";

/**
 * Bytes that must be transferred before earlier failures are forgotten. One byte between failures is no progress: a
 * server could keep us for ever.
 */
export const PROGRESS_SIZE = 2 ** 20;

/**
 * A download that goes on where it broke off.
 *
 * @param open Opens the bytes from an offset on.
 * @throws {CodedError} What `open` or its stream throws: ERR_SOURCE_UNAVAILABLE only after the
 *   policy's attempts without {@link PROGRESS_SIZE} more bytes, others at once.
 */
export async function* resumedDownload(
  open: (offset: number) => AsyncIterable<Uint8Array>,
  dependencies: RetryDependencies,
  policy: RetryPolicy,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  const budget = new RetryBudget(dependencies, policy, signal);
  let offset = 0;
  let mark = 0;
  for (;;) {
    try {
      for await (const piece of open(offset)) {
        offset += piece.length;
        budget.moved();
        if (offset - mark >= PROGRESS_SIZE) {
          mark = offset;
          budget.progressed();
        }
        yield piece;
      }
      return;
    } catch (error) {
      await budget.waitAfter(error);
    }
  }
}
