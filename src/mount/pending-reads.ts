import { setMaxListeners } from "node:events";
import { CodedError } from "../base/errors.ts";
import { integerOption } from "../base/options.ts";

const DEFAULT_READ_DEADLINE_MS = 30_000;

/**
 * The reads of an image that wait for chunks. Every one ends: when its chunks are ready, at its deadline, or when the
 * image is taken away. A reader in the kernel cannot leave before.
 */
export class PendingReads {
  readonly #deadlineMs: number;
  readonly #waiting = new Set<AbortController>();
  #isClosed = false;

  constructor(deadlineMs = DEFAULT_READ_DEADLINE_MS) {
    this.#deadlineMs = integerOption("readDeadlineMs", deadlineMs, 1, 86_400_000);
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /**
   * Waits for the work that a read takes.
   *
   * @param what What is read, for messages.
   * @param work Is to stop when the signal fires; the read does not wait for that.
   * @param controller Ends the read, with its reason.
   * @throws {CodedError} ERR_DEADLINE_EXCEEDED, ERR_ABORTED when the image is taken away; the controller's reason; and
   *   as `work`.
   */
  async run<Result>(
    what: string,
    work: (signal: AbortSignal) => Promise<Result>,
    controller = new AbortController(),
  ): Promise<Result> {
    if (this.#isClosed) throw closedError();
    const { signal } = controller;
    // Every chunk of a read may wait on this signal.
    setMaxListeners(0, signal);
    const late = (): void => {
      const message = `reading ${what} took over ${this.#deadlineMs} ms`;
      controller.abort(new CodedError("ERR_DEADLINE_EXCEEDED", message));
    };
    const timer = setTimeout(late, this.#deadlineMs);
    this.#waiting.add(controller);
    try {
      // A source that does not heed its signal must not keep the reader waiting either.
      return await Promise.race([work(signal), aborted(signal)]);
    } catch (error) {
      throw signal.aborted ? signal.reason : error;
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(controller);
    }
  }

  /** Fails every read that waits, and those to come. */
  close(): void {
    this.#isClosed = true;
    for (const controller of this.#waiting) controller.abort(closedError());
  }
}

function closedError(): CodedError {
  return new CodedError("ERR_ABORTED", "the image is being unmounted");
}

/** Rejects when `signal` fires. */
function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
  });
}
