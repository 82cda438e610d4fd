import { readFileSync } from "node:fs";
import { CodedError } from "../base/errors.ts";

/** Milliseconds between two looks at a reader that got a signal. */
const LOOK_INTERVAL_MS = 50;

/** SIGKILL in the masks of /proc/PID/status. A deadly signal of any number is pending as this one. */
const KILL_BIT = 1n << 8n;

/** Why a read ended: its reader is being killed. */
class ReaderKilled extends CodedError {
  constructor(pid: number) {
    super("ERR_ABORTED", `thread ${pid} is being killed`);
  }
}

/**
 * Ends reads whose reader is being killed, in the place of keeping it until the deadline: once its request was taken,
 * the kernel lets it go for an answer only.
 *
 * The kernel tells of any first signal, once. Reads of readers that live on are left alone, as NFS leaves them: EINTR
 * would be SIGBUS to who maps the file, and an error that nobody expects of a file to who reads it.
 */
export class InterruptedReads {
  readonly #waiting = new Map<number, { readonly pid: number; readonly controller: AbortController }>();
  readonly #tellAgain: (unique: number) => void;

  /** @param tellAgain Answers an interrupt so that the kernel sends it again. */
  constructor(tellAgain: (unique: number) => void) {
    this.#tellAgain = tellAgain;
  }

  /** True for the error of a read that was ended here. */
  static is(error: unknown): boolean {
    return error instanceof ReaderKilled;
  }

  /** Runs a read of thread `pid`, which `controller` ends. */
  async during<Result>(
    unique: number,
    pid: number,
    read: (controller: AbortController) => Promise<Result>,
  ): Promise<Result> {
    const controller = new AbortController();
    this.#waiting.set(unique, { pid, controller });
    try {
      return await read(controller);
    } finally {
      this.#waiting.delete(unique);
    }
  }

  /** Takes notice of a signal to who waits for request `unique`. */
  signalled(unique: number): void {
    const read = this.#waiting.get(unique);
    if (read !== undefined) this.#watch(unique, read.pid, read.controller);
    // Answered already, or a worker has the request still in hand.
    else setTimeout(() => this.#tellAgain(interruptOf(unique)), LOOK_INTERVAL_MS);
  }

  #watch(unique: number, pid: number, controller: AbortController): void {
    if (this.#waiting.get(unique)?.controller !== controller) return;
    if (isBeingKilled(pid)) controller.abort(new ReaderKilled(pid));
    else setTimeout(() => this.#watch(unique, pid, controller), LOOK_INTERVAL_MS);
  }
}

/** The `unique` of the interrupt of a request: requests have even numbers. */
function interruptOf(unique: number): number {
  return unique + 1;
}

function isBeingKilled(pid: number): boolean {
  // Of a pid namespace that cannot be seen from here.
  if (pid === 0) return false;
  try {
    const [, mask] = /^SigPnd:\s*([0-9a-f]+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
    return (BigInt(`0x${mask ?? "0"}`) & KILL_BIT) !== 0n;
  } catch {
    // It is gone.
    return true;
  }
}
