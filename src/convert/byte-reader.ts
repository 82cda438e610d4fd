import { concatBytes } from "../base/bytes.ts";
import { CodedError } from "../base/errors.ts";

const EMPTY = new Uint8Array(0);

/**
 * Reads a stream of pieces by count. Nothing is read ahead of what is asked for, but the piece at hand.
 *
 * Bytes that are handed out are views of a piece, or copies where they lie in several: they are good until the next
 * call, because the source may use the memory of a piece again.
 */
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
    if (size <= this.#piece.length) return this.#take(size);
    const parts: Uint8Array[] = [];
    for (let rest = size; rest > 0 && (await this.#fill()); ) {
      const part = this.#take(Math.min(rest, this.#piece.length)).slice();
      parts.push(part);
      rest -= part.length;
    }
    return concatBytes(parts);
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
    for (let rest = size; rest > 0; ) {
      if (!(await this.#fill())) throw this.#endsBefore(rest, what);
      const part = this.#take(Math.min(rest, this.#piece.length));
      rest -= part.length;
      yield part;
    }
  }

  /** Exactly `size` bytes; throws as {@link ByteReader.pieces}. */
  async readExactly(size: number, what: string): Promise<Uint8Array> {
    const bytes = await this.read(size);
    if (bytes.length < size) throw this.#endsBefore(size - bytes.length, what);
    return bytes;
  }

  /**
   * Goes past the next `size` bytes, without the memory of them.
   *
   * @returns How many there were; fewer than `size` only at the end.
   */
  async skip(size: number): Promise<number> {
    let rest = size;
    while (rest > 0 && (await this.#fill())) rest -= this.#take(Math.min(rest, this.#piece.length)).length;
    return size - rest;
  }

  /** As {@link ByteReader.skip}; throws as {@link ByteReader.pieces}. */
  async skipExactly(size: number, what: string): Promise<void> {
    const missing = size - (await this.skip(size));
    if (missing > 0) throw this.#endsBefore(missing, what);
  }

  /** Reads to the end, so that whoever verifies the stream sees all of it. */
  async drain(): Promise<void> {
    await this.skip(Number.MAX_SAFE_INTEGER);
  }

  /** Closes the stream beneath. */
  async close(): Promise<void> {
    await this.#pieces.return?.();
  }

  /** Sees to it that the piece at hand is not empty; false at the end. */
  async #fill(): Promise<boolean> {
    while (this.#piece.length === 0) {
      const next = await this.#pieces.next();
      if (next.done === true) return false;
      // Not a Buffer, whose subarray() costs more and whose slice() is no copy.
      const { buffer, byteOffset, byteLength } = next.value;
      this.#piece = new Uint8Array(buffer, byteOffset, byteLength);
    }
    return true;
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
