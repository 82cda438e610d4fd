import { type Digest, digestFromHex } from "../base/digest.ts";
import { CodedError } from "../base/errors.ts";
import type { HttpResponse } from "../net/http-response.ts";
import { redactUrl } from "../net/redact.ts";
import type { BlobSource, RangeOptions, ReadOptions } from "../store/blob-source.ts";
import type { RegistryClient } from "./registry-client.ts";

/** Bytes before a range that are read and dropped when a server sends whole blobs only. */
const MAX_SKIP = 64 * 2 ** 20;

/** Blobs of a repository, by ranged requests. */
export class RegistryBlobs implements BlobSource {
  readonly name: string;
  readonly isHedgeable = true;
  readonly #client: RegistryClient;

  constructor(client: RegistryClient) {
    this.#client = client;
    this.name = `registry ${client.name}`;
  }

  async read(blobId: string, offset: number, length: number, options: RangeOptions): Promise<Uint8Array> {
    const digest = digestFromHex(blobId);
    if (length === 0) return new Uint8Array(0);
    const { signal, into } = options;
    return this.#client.retried(async () => {
      const bytes = into ?? Buffer.allocUnsafeSlow(length);
      let filled = 0;
      for await (const piece of this.stream(digest, offset, offset + length, signal)) {
        bytes.set(piece, filled);
        filled += piece.length;
      }
      return bytes;
    }, signal);
  }

  async size(blobId: string, options: ReadOptions): Promise<number> {
    const digest = digestFromHex(blobId);
    using response = await this.#client.send({
      method: "HEAD",
      target: `blobs/${digest}`,
      need: "pull",
      allow: [200, 404],
      what: `blob ${digest} of ${this.#client.name}`,
      signal: options.signal,
    });
    await response.drain();
    if (response.status === 404) throw this.#missing(digest);
    const length = response.header("content-length") ?? "";
    if (!/^\d{1,15}$/.test(length)) {
      throw new CodedError("ERR_REGISTRY_PROTOCOL", `${this.name} gives no size for blob ${digest}`);
    }
    return Number(length);
  }

  /**
   * Streams exactly the bytes `[start, end)` of a blob; with `end` undefined up to its end. One
   * request: a failure in the middle is the caller's to resume.
   */
  async *stream(
    digest: Digest,
    start: number,
    end: number | undefined,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const headers: Record<string, string> =
      start === 0 && end === undefined ? {} : { range: `bytes=${start}-${end === undefined ? "" : end - 1}` };
    using ranged = await this.#open(digest, headers, signal);
    let response = ranged;
    if (ranged.status === 416) {
      await ranged.drain();
      if (end !== undefined) throw this.#short(digest, end);
      // A download that broke off after its last byte: whoever verifies it knows whether it is whole.
      if (ranged.header("content-range") === `bytes */${start}`) return;
      response = await this.#open(digest, {}, signal);
    }
    using _ = response;
    const first = response.status === 206 ? this.#checkRange(response, digest, start, end) : 0;
    // A resumed download has read these bytes once already; a random read must not cost a whole blob.
    if (end !== undefined && start - first > MAX_SKIP) {
      throw new CodedError(
        "ERR_REGISTRY_PROTOCOL",
        `${this.name} ignores ranges and blob ${digest} is wanted from byte ${start}`,
      );
    }
    let position = first;
    for await (const piece of response.pieces()) {
      const from = Math.max(0, start - position);
      const to = end === undefined ? piece.length : Math.min(piece.length, end - position);
      position += piece.length;
      if (to > from) yield piece.subarray(from, to);
      // Read to its end, the answer to a range gives its connection back; the rest of a whole blob is not worth that.
      const isOver = response.status === 206 ? position > (end ?? position) : position >= (end ?? Infinity);
      if (isOver) return;
    }
    if (end !== undefined && position < end) throw this.#short(digest, end);
  }

  async #open(
    digest: Digest,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<HttpResponse> {
    // Who reads the stream tries again: both together would ask a registry that is gone for every attempt of each.
    const response = await this.#client.sendOnce({
      method: "GET",
      target: `blobs/${digest}`,
      need: "pull",
      headers,
      allow: [200, 206, 404, 416],
      what: `blob ${digest} of ${this.#client.name}`,
      signal,
    });
    if (response.status !== 404) return response;
    await response.drain();
    throw this.#missing(digest);
  }

  #checkRange(response: HttpResponse, digest: Digest, start: number, end: number | undefined): number {
    const header = response.header("content-range") ?? "";
    const match = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15}|\*)$/.exec(header.trim());
    if (match === null || Number(match[1]) !== start) {
      throw new CodedError(
        "ERR_REGISTRY_PROTOCOL",
        `${redactUrl(response.url)} answered bytes ${start}- with the range ${JSON.stringify(header.slice(0, 100))}`,
      );
    }
    if (end !== undefined && match[3] !== "*" && Number(match[3]) < end) throw this.#short(digest, end);
    if (end !== undefined && Number(match[2]) < end - 1) {
      throw new CodedError(
        "ERR_REGISTRY_PROTOCOL",
        `${redactUrl(response.url)} answered with a part of the range`,
      );
    }
    return start;
  }

  #missing(digest: Digest): CodedError {
    return new CodedError("ERR_BLOB_NOT_FOUND", `${this.name} has no blob ${digest}`);
  }

  #short(digest: Digest, end: number): CodedError {
    return new CodedError(
      "ERR_BLOB_CORRUPT",
      `blob ${digest} of ${this.#client.name} ends before byte ${end}`,
    );
  }
}
