import { isCoded } from "../base/errors.ts";
import { type RetryDependencies, type RetryPolicy, retryAfterOf, retryDelay } from "./retry.ts";

/** Bytes that must arrive before a download's failures are forgotten. */
const PROGRESS_SIZE = 2 ** 20;

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
  let offset = 0;
  let attempt = 1;
  let mark = 0;
  for (;;) {
    try {
      for await (const piece of open(offset)) {
        offset += piece.length;
        if (offset - mark >= PROGRESS_SIZE) {
          // One byte between failures is no progress: a server could keep us for ever.
          mark = offset;
          attempt = 1;
        }
        yield piece;
      }
      return;
    } catch (error) {
      if (!isCoded(error, "ERR_SOURCE_UNAVAILABLE") || attempt >= policy.attempts) throw error;
      const delay = retryDelay(policy, attempt++, dependencies.random(), retryAfterOf(error));
      await dependencies.clock.sleep(delay, signal);
    }
  }
}
