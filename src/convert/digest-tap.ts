import { toHex } from "../base/bytes.ts";
import { type Digest, digestFromHex } from "../base/digest.ts";
import { createSha256 } from "../codec/digest.ts";

/**
 * Passes pieces on and takes the digest of all of them, also of those its reader did not want: a tar
 * reader stops at the end mark, the diff id covers what follows it too.
 */
export class DigestTap implements AsyncIterable<Uint8Array> {
  readonly #pieces: AsyncIterator<Uint8Array>;
  readonly #sha256 = createSha256();
  #size = 0;

  constructor(pieces: AsyncIterable<Uint8Array>) {
    this.#pieces = pieces[Symbol.asyncIterator]();
  }

  /** Bytes that passed so far. */
  get size(): number {
    return this.#size;
  }

  /** Leaving the loop early leaves the source open, for {@link DigestTap.finish}. */
  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    return { next: () => this.#next() };
  }

  /** Reads what is left and returns the digest of everything. Call it once. */
  async finish(): Promise<Digest> {
    while ((await this.#next()).done !== true);
    return digestFromHex(toHex(this.#sha256.digest()));
  }

  /** Closes the source; needed when {@link DigestTap.finish} was not reached. */
  async close(): Promise<void> {
    await this.#pieces.return?.();
  }

  async #next(): Promise<IteratorResult<Uint8Array>> {
    const result = await this.#pieces.next();
    if (result.done !== true) {
      this.#sha256.update(result.value);
      this.#size += result.value.length;
    }
    return result;
  }
}
