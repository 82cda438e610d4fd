import { setMaxListeners } from "node:events";
import { CodedError } from "../base/errors.ts";
import { integerOption } from "../base/options.ts";
import type { ReadPlan } from "./filesystem.ts";
import type { ImageChunks } from "./image-chunks.ts";

const DEFAULT_READ_DEADLINE_MS = 30_000;

/**
 * The reads of a mount that wait for chunks. Every one ends: when its chunks are ready, at its deadline, or when the
 * mount closes. A reader in the kernel cannot be killed while it waits, not even by SIGKILL.
 */
export class PendingReads {
  readonly #chunks: ImageChunks;
  readonly #deadlineMs: number;
  readonly #waiting = new Set<AbortController>();
  #isClosed = false;

  constructor(chunks: ImageChunks, deadlineMs = DEFAULT_READ_DEADLINE_MS) {
    this.#chunks = chunks;
    this.#deadlineMs = integerOption("readDeadlineMs", deadlineMs, 1, 86_400_000);
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /**
   * Returns when every piece of the plan is ready.
   *
   * @param what What is read, for messages.
   * @throws {CodedError} ERR_DEADLINE_EXCEEDED, ERR_ABORTED when the mount closes, or as ImageChunks.ensure.
   */
  async ensure(plan: ReadPlan, what: string): Promise<void> {
    if (this.#isClosed) throw closedError();
    const controller = new AbortController();
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
      await Promise.race([this.#chunks.ensure(plan, { class: "demand", signal }), aborted(signal)]);
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
  return new CodedError("ERR_ABORTED", "the mount is being closed");
}

/** Rejects when `signal` fires. */
function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
  });
}
