import { concatBytes } from "../base/bytes.ts";
import { CodedError } from "../base/errors.ts";

const EMPTY = new Uint8Array(0);

/** Reads a stream of pieces by count. Nothing is read ahead of what is asked for, but the piece at hand. */
export class ByteReader {
  readonly #pieces: AsyncIterator<Uint8Array>;
  #piece: Uint8Array = EMPTY;
  #offset = 0;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#pieces = source[Symbol.asyncIterator]();
  }

  /** Bytes from the start of the stream to the next one read. */
  get offset(): number {
    return this.#offset;
  }

  /** The next `size` bytes, fewer only at the end. */
  async read(size: number): Promise<Uint8Array> {
    // Headers nearly always lie in the piece at hand: no generator for them.
    if (size <= this.#piece.length) return this.#take(size);
    const parts: Uint8Array[] = [];
    for await (const part of this.#upTo(size)) parts.push(part);
    return parts.length === 1 && parts[0] !== undefined ? parts[0] : concatBytes(parts);
  }

  /** As {@link ByteReader.read}, but the bytes are read again by the next call. */
  async peek(size: number): Promise<Uint8Array> {
    const bytes = await this.read(size);
    this.#piece = this.#piece.length === 0 ? bytes : concatBytes([bytes, this.#piece]);
    this.#offset -= bytes.length;
    return bytes;
  }

  /**
   * The next `size` bytes in pieces as they come.
   *
   * @param what Named in the message.
   * @throws {CodedError} ERR_LAYER_INVALID when the stream ends before.
   */
  async *pieces(size: number, what: string): AsyncGenerator<Uint8Array> {
    let rest = size;
    for await (const piece of this.#upTo(size)) {
      rest -= piece.length;
      yield piece;
    }
    if (rest > 0) throw this.#endsBefore(rest, what);
  }

  /** Exactly `size` bytes; throws as {@link ByteReader.pieces}. */
  async readExactly(size: number, what: string): Promise<Uint8Array> {
    const bytes = await this.read(size);
    if (bytes.length < size) throw this.#endsBefore(size - bytes.length, what);
    return bytes;
  }

  /** Reads to the end, so that whoever verifies the stream sees all of it. */
  async drain(): Promise<void> {
    while ((await this.#upTo(Number.MAX_SAFE_INTEGER).next()).done !== true);
  }

  /** Closes the stream beneath. */
  async close(): Promise<void> {
    await this.#pieces.return?.();
  }

  async *#upTo(size: number): AsyncGenerator<Uint8Array> {
    let rest = size;
    while (rest > 0) {
      if (this.#piece.length === 0) {
        const next = await this.#pieces.next();
        if (next.done === true) return;
        this.#piece = next.value;
        continue;
      }
      const part = this.#take(Math.min(rest, this.#piece.length));
      rest -= part.length;
      yield part;
    }
  }

  #endsBefore(rest: number, what: string): CodedError {
    return new CodedError(
      "ERR_LAYER_INVALID",
      `layer ends at byte ${this.#offset}, ${rest} bytes before the end of ${what}`,
    );
  }

  #take(size: number): Uint8Array {
    const part = this.#piece.subarray(0, size);
    this.#piece = this.#piece.subarray(size);
    this.#offset += size;
    return part;
  }
}
