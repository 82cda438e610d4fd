/** Bytes at the start of a buffer. */
interface StoredPiece {
  readonly buffer: Uint8Array<ArrayBuffer>;
  readonly size: number;
}

/**
 * Pieces that are pushed on one side and pulled on the other. A piece may be used until the second one after it is
 * asked for; then its buffer is released.
 */
export class StoredPieces implements AsyncIterable<Uint8Array> {
  readonly #release: (buffer: Uint8Array<ArrayBuffer>) => void;
  readonly #ready: StoredPiece[] = [];
  #isEnded = false;
  #wake: (() => void) | undefined;

  constructor(release: (buffer: Uint8Array<ArrayBuffer>) => void) {
    this.#release = release;
  }

  push(buffer: Uint8Array<ArrayBuffer>, size: number): void {
    this.#ready.push({ buffer, size });
    this.#wake?.();
  }

  /** There will be no more. */
  end(): void {
    this.#isEnded = true;
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    const lent: Uint8Array<ArrayBuffer>[] = [];
    for (;;) {
      const next = this.#ready.shift();
      if (next !== undefined) {
        const [earlier] = lent.length < 2 ? [] : lent.splice(0, 1);
        if (earlier !== undefined) this.#release(earlier);
        lent.push(next.buffer);
        yield next.buffer.subarray(0, next.size);
      } else if (this.#isEnded) {
        for (const buffer of lent) this.#release(buffer);
        return;
      } else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }
}
