import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import { CodedError } from "../base/errors.ts";
import type { RateFloor } from "./rate-floor.ts";
import { redactUrl } from "./redact.ts";

/** The answer to a request: its header at once, its body as it comes. */
export class HttpResponse implements Disposable {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly url: URL;
  readonly #message: IncomingMessage;
  readonly #signal: AbortSignal;
  readonly #rate: RateFloor;

  constructor(message: IncomingMessage, url: URL, signal: AbortSignal, rate: RateFloor) {
    this.status = message.statusCode ?? 0;
    this.headers = message.headers;
    this.url = url;
    this.#message = message;
    this.#signal = signal;
    this.#rate = rate;
    // An error while nobody reads must not end the process; readers meet it again in the iterator.
    message.on("error", () => undefined);
  }

  /** True from 200 to 299. */
  get isOk(): boolean {
    return this.status >= 200 && this.status < 300;
  }

  /** A header that is sent once; `undefined` when absent. */
  header(name: string): string | undefined {
    const value = this.headers[name];
    return Array.isArray(value) ? value[0] : value;
  }

  /**
   * The body in pieces. Leaving the loop early closes the connection.
   *
   * @throws {CodedError} ERR_SOURCE_UNAVAILABLE when it breaks off or comes too slowly, ERR_ABORTED.
   */
  async *pieces(): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      this.#rate.begin();
      for await (const piece of this.#message) {
        const bytes = piece as Uint8Array;
        if (this.#rate.isTooSlowAfter(bytes.length)) throw new Error(`it gives ${this.#rate}`);
        yield bytes;
        this.#rate.begin();
      }
    } catch (cause) {
      throw this.#brokenOff(cause);
    }
    if (!this.#message.complete) throw this.#brokenOff(undefined);
  }

  /**
   * The whole body.
   *
   * @throws {CodedError} ERR_LIMIT_EXCEEDED over `maximum` bytes, or as {@link HttpResponse.pieces}.
   */
  async bytes(maximum: number): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    let size = 0;
    for await (const piece of this.pieces()) {
      size += piece.length;
      if (size > maximum) {
        throw new CodedError(
          "ERR_LIMIT_EXCEEDED",
          `the answer of ${redactUrl(this.url)} has over ${maximum} bytes`,
        );
      }
      parts.push(piece);
    }
    return Buffer.concat(parts, size);
  }

  /** The first `maximum` bytes of the body as text, for messages; never fails, and drops the rest. */
  async excerpt(maximum: number): Promise<string> {
    const parts: Uint8Array[] = [];
    let size = 0;
    try {
      for await (const piece of this.pieces()) {
        parts.push(piece);
        size += piece.length;
        if (size >= maximum) break;
      }
    } catch {
      // What came is enough for a message.
    }
    return Buffer.concat(parts, size).toString("utf8", 0, maximum);
  }

  /** Gives the connection back when the body is short, and closes it when it is not. */
  async drain(): Promise<void> {
    await this.excerpt(64 * 1024);
  }

  /** Gives the connection back when the body has come whole, and closes it when it has not. */
  [Symbol.dispose](): void {
    if (this.#message.complete) this.#message.resume();
    else this.#message.destroy();
  }

  #brokenOff(cause: unknown): CodedError {
    const where = redactUrl(this.url);
    if (this.#signal.aborted)
      return new CodedError("ERR_ABORTED", `reading ${where} was interrupted`, { cause });
    return new CodedError("ERR_SOURCE_UNAVAILABLE", `the answer of ${where} broke off`, { cause });
  }
}
