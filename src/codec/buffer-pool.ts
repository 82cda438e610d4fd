import { abortedError, throwIfAborted } from "../base/abort.ts";

/**
 * A fixed number of buffers of one size, handed out in the order asked. Who must fill a buffer before work can be
 * given away waits here, so the count bounds the bytes in flight.
 */
export class BufferPool {
  readonly #size: number;
  readonly #spare: Uint8Array<ArrayBuffer>[] = [];
  readonly #waiting: ((buffer: Uint8Array<ArrayBuffer>) => void)[] = [];
  #unmade: number;

  /**
   * @param count Buffers, made when first needed.
   * @param size Bytes of each.
   */
  constructor(count: number, size: number) {
    this.#unmade = count;
    this.#size = size;
  }

  /**
   * A buffer of the caller's own, with any content; waits until there is one.
   *
   * @throws {CodedError} ERR_ABORTED.
   */
  async take(signal: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
    throwIfAborted(signal);
    const spare = this.#spare.pop();
    if (spare !== undefined) return spare;
    if (this.#unmade > 0) {
      this.#unmade--;
      return new Uint8Array(this.#size);
    }
    return new Promise((resolve, reject) => {
      const take = (buffer: Uint8Array<ArrayBuffer>): void => {
        signal.removeEventListener("abort", abort);
        resolve(buffer);
      };
      const abort = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(take), 1);
        reject(abortedError(signal));
      };
      signal.addEventListener("abort", abort, { once: true });
      this.#waiting.push(take);
    });
  }

  /** Gives a buffer back, whole, after {@link BufferPool.take}. */
  give(buffer: Uint8Array<ArrayBuffer>): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#spare.push(buffer);
    else next(buffer);
  }
}
