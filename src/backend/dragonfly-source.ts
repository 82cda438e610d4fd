import { isBlobId } from "../base/digest.ts";
import { CodedError, isCoded } from "../base/errors.ts";
import { type Clock, SYSTEM_CLOCK } from "../net/clock.ts";
import type { HttpResponse } from "../net/http-response.ts";
import { parseRetryAfter } from "../net/retry.ts";
import type { BlobSource, FetchClass, RangeOptions, ReadOptions } from "../store/blob-source.ts";
import { gatherRange, rangeHeader } from "./ranged-body.ts";

/** Sends requests for blobs of one repository to a dfdaemon. */
export interface DragonflyRequests {
  /**
   * Asks for a blob of the upstream registry, in the form of a registry mirror. Any status is an answer.
   *
   * @throws {CodedError} ERR_SOURCE_UNAVAILABLE when the dfdaemon does not answer, ERR_ABORTED.
   */
  get(blobId: string, headers: Readonly<Record<string, string>>, signal: AbortSignal): Promise<HttpResponse>;
}

/** Dragonfly's priorities, of 0 to 6: what readers wait for, and what they do not. */
const PRIORITY: Readonly<Record<FetchClass, string>> = { demand: "6", prefetch: "3" };

/** Milliseconds without requests after a failure of the dfdaemon; doubled each time, up to the last. */
const FIRST_REST_MS = 500;
const MAX_REST_MS = 30_000;

/**
 * Blobs through Dragonfly's dfdaemon on this machine. Who fails is told by its headers: when it was the dfdaemon, or it
 * has too much to do (429), it is left alone for a while; a reader then goes elsewhere at once, a prefetch waits.
 *
 * @see dragonfly-client's proxy: X-Dragonfly-* headers
 */
export class DragonflySource implements BlobSource {
  readonly name: string;
  readonly #requests: DragonflyRequests;
  readonly #upstream: string;
  readonly #clock: Clock;
  #restsUntilMs = 0;
  #restMs = FIRST_REST_MS;

  /** @param upstream The registry that the dfdaemon gets blobs from: `https://registry.example`. */
  constructor(requests: DragonflyRequests, upstream: string, clock = SYSTEM_CLOCK) {
    this.name = `dragonfly for ${upstream}`;
    this.#requests = requests;
    this.#upstream = upstream;
    this.#clock = clock;
  }

  async read(blobId: string, offset: number, length: number, options: RangeOptions): Promise<Uint8Array> {
    const what = this.#whatOf(blobId);
    if (length === 0) return new Uint8Array(0);
    await this.#whenRested(options);
    using response = await this.#send(blobId, { range: rangeHeader(offset, length) }, options);
    if (response.status !== 206) throw await this.#refusal(response, what);
    this.#restMs = FIRST_REST_MS;
    const range = { what, offset, length };
    return await gatherRange(response.pieces(), response.header("content-range"), range, options);
  }

  /** Asks for the first byte: what is proxied without P2P, a HEAD for one, may lead to another place. */
  async size(blobId: string, options: ReadOptions): Promise<number> {
    const what = this.#whatOf(blobId);
    await this.#whenRested(options);
    using response = await this.#send(blobId, { range: rangeHeader(0, 1) }, options);
    if (response.status !== 206) throw await this.#refusal(response, what);
    const total = /^bytes 0-0\/(\d{1,15})$/.exec(response.header("content-range") ?? "")?.[1];
    await response.drain();
    if (total === undefined) throw new CodedError("ERR_REGISTRY_PROTOCOL", `${what} comes without a size`);
    return Number(total);
  }

  #whatOf(blobId: string): string {
    if (isBlobId(blobId)) return `blob ${blobId} from ${this.name}`;
    throw new CodedError("ERR_BLOB_NOT_FOUND", `blob ${JSON.stringify(blobId)} is not in ${this.name}`);
  }

  async #whenRested(options: ReadOptions): Promise<void> {
    for (let now = this.#clock.now(); now < this.#restsUntilMs; now = this.#clock.now()) {
      if (options.class !== "prefetch") {
        throw new CodedError(
          "ERR_SOURCE_UNAVAILABLE",
          `${this.name} is not asked for a while after it failed`,
        );
      }
      await this.#clock.sleep(this.#restsUntilMs - now, options.signal);
    }
  }

  async #send(
    blobId: string,
    range: { readonly range: string },
    options: ReadOptions,
  ): Promise<HttpResponse> {
    const headers = {
      ...range,
      "x-dragonfly-use-p2p": "true",
      "x-dragonfly-registry": this.#upstream,
      "x-dragonfly-priority": PRIORITY[options.class ?? "demand"],
      // The same bytes are one task, whatever repository or signed URL they come from.
      "x-dragonfly-enable-task-id-based-blob-digest": "true",
    };
    try {
      return await this.#requests.get(blobId, headers, options.signal);
    } catch (error) {
      if (isCoded(error, "ERR_SOURCE_UNAVAILABLE")) this.#rest(undefined);
      throw error;
    }
  }

  async #refusal(response: HttpResponse, what: string): Promise<CodedError> {
    const { status } = response;
    const failed = response.header("x-dragonfly-error-type") ?? "backend";
    await response.drain();
    const fail = (code: ConstructorParameters<typeof CodedError>[0]): CodedError =>
      new CodedError(code, `${what}: status ${status}, error type ${JSON.stringify(failed.slice(0, 40))}`);
    if (status === 429) this.#rest(parseRetryAfter(response.header("retry-after"), Date.now()));
    if (failed === "proxy" || failed === "dfdaemon") {
      this.#rest(undefined);
      return fail("ERR_SOURCE_UNAVAILABLE");
    }
    if (status === 404) return fail("ERR_BLOB_NOT_FOUND");
    if (status === 416) return fail("ERR_BLOB_CORRUPT");
    // 403 is also the answer for a task on its block list: that is meant, and not to be gone round.
    if (status === 401 || status === 403) return fail("ERR_REGISTRY_DENIED");
    return fail(status === 429 || status >= 500 ? "ERR_SOURCE_UNAVAILABLE" : "ERR_REGISTRY_PROTOCOL");
  }

  #rest(askedMs: number | undefined): void {
    this.#restsUntilMs = this.#clock.now() + Math.min(MAX_REST_MS, askedMs ?? this.#restMs);
    this.#restMs = Math.min(MAX_REST_MS, this.#restMs * 2);
  }
}
