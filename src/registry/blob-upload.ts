import { CodedError, isCoded } from "../base/errors.ts";
import type { Descriptor } from "../format/oci/descriptor.ts";
import type { HttpResponse } from "../net/http-response.ts";
import { PROGRESS_SIZE } from "../net/resumed-download.ts";
import { RetryBudget } from "../net/retry.ts";
import { verifiedStream } from "../store/verified-stream.ts";
import { locationOf } from "./location.ts";
import type { RegistryClient } from "./registry-client.ts";
import { registryError } from "./registry-error.ts";
import type { RegistryRequest } from "./registry-request.ts";
import { checkDigest, claimedDigest } from "./registry-source.ts";

/** A blob to upload. */
export interface UploadedBlob {
  readonly descriptor: Descriptor;
  /** Opens the bytes from the first on; called again after a failure. */
  readonly open: () => AsyncIterable<Uint8Array>;
  /** A repository of the same registry that may hold the blob. @default none */
  readonly mountFrom?: string | undefined;
}

/** Bytes up to which a blob is sent with the request that commits it: to send it again costs less than to ask. */
const WHOLE_SIZE = 2 ** 20;
/** Milliseconds that a registry may take to store what it was sent: some copy gigabytes in an object store first. */
const COMMIT_TIMEOUT_MS = 600_000;
/** Bytes of one request to a server (or a proxy before it) that found a whole blob too large. */
const PIECE_SIZE = 32 * 2 ** 20;
/** Statuses of servers that know uploads in one piece only. */
const PATCH_UNKNOWN = [405, 501];

/**
 * Uploads a blob, or takes it from another repository of the registry. After a failure the registry is asked how much
 * it has, and the rest is sent; where it does not say, the upload begins again from the first byte.
 *
 * @throws {CodedError} ERR_SOURCE_UNAVAILABLE after the policy's attempts without progress, ERR_REGISTRY_DENIED,
 *   ERR_REGISTRY_PROTOCOL, ERR_DIGEST_MISMATCH when the bytes are not what the descriptor says, ERR_ABORTED.
 * @see OCI distribution-spec 1.1, Pushing blobs
 */
export async function uploadBlob(
  client: RegistryClient,
  blob: UploadedBlob,
  signal: AbortSignal,
): Promise<void> {
  const budget = new RetryBudget(client, client.retry, signal);
  const upload = new BlobUpload(client, blob, budget, signal);
  for (;;) {
    try {
      await upload.proceed();
      return;
    } catch (error) {
      await budget.waitAfter(error);
      upload.interrupted();
    }
  }
}

class BlobUpload {
  readonly #client: RegistryClient;
  readonly #blob: UploadedBlob;
  readonly #budget: RetryBudget;
  readonly #signal: AbortSignal;
  readonly #what: string;
  #mountFrom: string | undefined;
  #location: URL | undefined;
  /** Bytes that the registry has. */
  #offset = 0;
  /** How many it had when failures were last forgotten; stays when the upload is begun anew, or that would never end. */
  #mark = 0;
  #mayPatch = true;
  /** Bytes of one request. */
  #pieceSize = Infinity;
  #isResumed = false;
  #isInterrupted = false;

  constructor(client: RegistryClient, blob: UploadedBlob, budget: RetryBudget, signal: AbortSignal) {
    this.#client = client;
    this.#blob = blob;
    this.#budget = budget;
    this.#signal = signal;
    this.#what = `upload of ${blob.descriptor.digest} to ${client.name}`;
    this.#mountFrom = blob.mountFrom;
  }

  /** Something failed: what the registry has is not known any more. */
  interrupted(): void {
    this.#isInterrupted = true;
  }

  /** Does what is left to do. */
  async proceed(): Promise<void> {
    const { size } = this.#blob.descriptor;
    if (this.#isInterrupted && (await this.#recover())) return;
    this.#isInterrupted = false;
    if (this.#location === undefined && (await this.#begin())) return;
    if (!this.#mayPatch || (size <= WHOLE_SIZE && this.#offset === 0)) return this.#commit(true);
    while (this.#offset < size) {
      if (await this.#sendPiece()) continue;
      this.#restart();
      return this.proceed();
    }
    return this.#commit(false);
  }

  /** True when the registry took the blob from another repository. */
  async #begin(): Promise<boolean> {
    if (this.#mountFrom !== undefined && (await this.#mount(this.#mountFrom))) return true;
    if (this.#location !== undefined) return false;
    using response = await this.#send({ method: "POST", target: "blobs/uploads/", allow: [202] });
    await response.drain();
    this.#location = locationOf(response);
    return false;
  }

  async #mount(from: string): Promise<boolean> {
    const query = new URLSearchParams({ mount: this.#blob.descriptor.digest, from });
    try {
      using response = await this.#send({
        method: "POST",
        target: `blobs/uploads/?${query}`,
        alsoPull: from,
        allow: [201, 202],
      });
      await response.drain();
      if (response.status === 201) return true;
      this.#location = locationOf(response);
    } catch (error) {
      // Who may not read the other repository, or a registry that knows no mounts: then the bytes are sent.
      if (!isCoded(error, "ERR_REGISTRY_DENIED", "ERR_REGISTRY_PROTOCOL")) throw error;
    }
    this.#mountFrom = undefined;
    return false;
  }

  /** Sends what the registry lacks, or a piece of it; false when it must be begun again in another way. */
  async #sendPiece(): Promise<boolean> {
    const { size } = this.#blob.descriptor;
    const start = this.#offset;
    const end = Math.min(size, start + this.#pieceSize);
    using response = await this.#send({
      method: "PATCH",
      target: this.#location as URL,
      headers: { "content-type": "application/octet-stream", "content-range": `${start}-${end - 1}` },
      body: () => this.#bytes(start, end),
      bodySize: end - start,
      answerTimeoutMs: COMMIT_TIMEOUT_MS,
      allow: [202, 204, 404, 413, 416, ...PATCH_UNKNOWN],
    });
    if (response.status === 413 && end - start <= PIECE_SIZE) throw await registryError(response, this.#what);
    await response.drain();
    if (response.status === 404) throw this.#gone();
    if (response.status === 416) throw this.#outOfStep(start);
    if (response.status === 413) this.#pieceSize = PIECE_SIZE;
    if (PATCH_UNKNOWN.includes(response.status)) this.#mayPatch = false;
    if (!response.isOk) return false;
    if (response.header("location") !== undefined) this.#location = locationOf(response);
    const taken = takenOf(response) ?? end;
    if (taken !== end) throw this.#outOfStep(taken);
    this.#offset = end;
    this.#noteProgress();
    return true;
  }

  async #commit(isWhole: boolean): Promise<void> {
    const { digest, size } = this.#blob.descriptor;
    const target = new URL(this.#location as URL);
    target.searchParams.set("digest", digest);
    using response = await this.#send({
      method: "PUT",
      target,
      answerTimeoutMs: COMMIT_TIMEOUT_MS,
      ...(isWhole
        ? {
            headers: { "content-type": "application/octet-stream" },
            body: () => this.#bytes(0, size),
            bodySize: size,
          }
        : { body: () => new Uint8Array(0) }),
      // What was put together out of pieces may be refused once: the bytes may have been mixed up on the way.
      allow: this.#isResumed ? [201, 202, 204, 404, 400, 416] : [201, 202, 204, 404],
    });
    await response.drain();
    if (!response.isOk) throw this.#gone();
    checkDigest(claimedDigest(response), digest, this.#what);
  }

  /** Finds out what an interrupted upload left behind; true when it is all there. */
  async #recover(): Promise<boolean> {
    const { digest, size } = this.#blob.descriptor;
    using found = await this.#send({ method: "HEAD", target: `blobs/${digest}`, allow: [200, 404] });
    await found.drain();
    if (found.status === 200) return true;
    if (this.#location === undefined) return false;
    const taken = size <= WHOLE_SIZE || !this.#mayPatch ? 0 : await this.#askTaken(this.#location);
    // `0-0` stands for one byte and for none: nobody sends a byte to find out which.
    if (taken <= 1 || taken > size) {
      this.#restart();
      return false;
    }
    this.#isResumed = true;
    this.#offset = taken;
    this.#noteProgress();
    return false;
  }

  #noteProgress(): void {
    if (this.#offset - this.#mark < PROGRESS_SIZE) return;
    this.#mark = this.#offset;
    this.#budget.progressed();
  }

  async #askTaken(location: URL): Promise<number> {
    try {
      using response = await this.#send({ method: "GET", target: location, allow: [200, 202, 204] });
      await response.drain();
      if (response.header("location") !== undefined) this.#location = locationOf(response);
      return takenOf(response) ?? 0;
    } catch (error) {
      if (!isCoded(error, "ERR_REGISTRY_DENIED", "ERR_REGISTRY_PROTOCOL")) throw error;
      return 0;
    }
  }

  #restart(): void {
    this.#location = undefined;
    this.#offset = 0;
    this.#isResumed = false;
  }

  /** The bytes `[start, end)`. Those before are verified too, so that the last piece proves the whole blob. */
  async *#bytes(start: number, end: number): AsyncGenerator<Uint8Array, void, undefined> {
    const { descriptor, open } = this.#blob;
    let position = 0;
    for await (const piece of verifiedStream(open(), descriptor, "the converter")) {
      const wanted = piece.subarray(Math.max(0, start - position), Math.max(0, end - position));
      position += piece.length;
      if (wanted.length > 0) yield wanted;
      this.#budget.moved();
      if (position >= end && end < descriptor.size) return;
    }
  }

  #send(
    request: Pick<RegistryRequest, "method" | "target" | "allow"> & Partial<RegistryRequest>,
  ): Promise<HttpResponse> {
    return this.#client.sendOnce({ ...request, need: "push", what: this.#what, signal: this.#signal });
  }

  #gone(): CodedError {
    this.#restart();
    return new CodedError("ERR_SOURCE_UNAVAILABLE", `${this.#what}: the upload session is gone`);
  }

  #outOfStep(taken: number): CodedError {
    const { size } = this.#blob.descriptor;
    return new CodedError("ERR_SOURCE_UNAVAILABLE", `${this.#what} stopped at byte ${taken} of ${size}`);
  }
}

/** How many bytes of an upload the registry says it has, in the form `0-LAST`; `undefined` when it does not say. */
function takenOf(response: HttpResponse): number | undefined {
  const match = /^(?:bytes=)?0-(\d{1,15})$/.exec(response.header("range")?.trim() ?? "");
  return match === null ? undefined : Number(match[1]) + 1;
}
