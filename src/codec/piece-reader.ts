import { CodedError } from "../base/errors.ts";

/** Reads a stream of pieces with a little look-ahead; empty pieces are skipped. */
export class PieceReader {
  readonly #source: AsyncIterator<Uint8Array>;
  #held: Uint8Array | undefined;
  #bytesRead = 0;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** Bytes that the source gave so far. */
  get bytesRead(): number {
    return this.#bytesRead;
  }

  /** The next piece, or undefined at the end of the stream. */
  async next(): Promise<Uint8Array | undefined> {
    if (this.#held !== undefined) {
      const held = this.#held;
      this.#held = undefined;
      return held;
    }
    for (;;) {
      const step = await this.#source.next();
      if (step.done === true) return undefined;
      this.#bytesRead += step.value.length;
      if (step.value.length > 0) return step.value;
    }
  }

  /** Gives back the rest of the piece that `next` returned last. */
  unread(rest: Uint8Array): void {
    this.#held = rest.length > 0 ? rest : undefined;
  }

  /** The next `length` bytes without taking them; fewer only at the end of the stream. */
  async peek(length: number): Promise<Uint8Array> {
    let gathered = (await this.next()) ?? new Uint8Array(0);
    while (gathered.length < length) {
      const piece = await this.next();
      if (piece === undefined) break;
      gathered = Buffer.concat([gathered, piece]);
    }
    this.unread(gathered);
    return gathered.subarray(0, length);
  }

  /**
   * Takes exactly `length` bytes.
   *
   * @throws {CodedError} ERR_LAYER_INVALID when the stream ends before.
   */
  async take(length: number): Promise<Uint8Array> {
    const bytes = await this.peek(length);
    if (bytes.length < length) {
      throw new CodedError("ERR_LAYER_INVALID", `stream ends ${length - bytes.length} bytes too early`);
    }
    this.unread((this.#held ?? bytes).subarray(length));
    return bytes;
  }

  /** Closes the source; what was not read is lost. */
  async close(): Promise<void> {
    await this.#source.return?.();
  }
}
