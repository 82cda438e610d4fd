import { type Digest, parseDigest } from "../base/digest.ts";
import { CodedError } from "../base/errors.ts";
import type { Descriptor } from "../format/oci/descriptor.ts";
import { MAX_MANIFEST_SIZE } from "../format/oci/limits.ts";
import { decodeManifest } from "../format/oci/manifest.ts";
import { ACCEPTED_MANIFESTS, isIndexType, isManifestType } from "../format/oci/media-types.ts";
import { DEFAULT_TAG, formatReference, type Reference } from "../format/oci/reference.ts";
import type { HttpResponse } from "../net/http-response.ts";
import { resumedDownload } from "../net/resumed-download.ts";
import type { ReadOptions } from "../store/blob-source.ts";
import type { ImageSource, Repository, StoredManifest } from "../store/image-source.ts";
import { readVerifiedDocument } from "../store/read-document.ts";
import { digestOf, verifiedStream } from "../store/verified-stream.ts";
import { RegistryBlobs } from "./registry-blobs.ts";
import { RegistryClient, type RegistryDependencies, type RegistryOptions } from "./registry-client.ts";

/** Reads one image of a registry. */
export class RegistrySource implements ImageSource {
  readonly name: string;
  readonly blobs: RegistryBlobs;
  readonly repository: Repository;
  readonly #client: RegistryClient;
  readonly #reference: Reference;

  constructor(dependencies: RegistryDependencies, reference: Reference, options: RegistryOptions = {}) {
    this.name = formatReference(reference);
    this.repository = { registry: reference.registry, name: reference.repository };
    this.#reference = reference;
    this.#client = new RegistryClient(dependencies, reference, options);
    this.blobs = new RegistryBlobs(this.#client);
  }

  async resolve(options: ReadOptions): Promise<StoredManifest> {
    const { tag, digest } = this.#reference;
    const what = `manifest of ${this.name}`;
    const { bytes, claimed, said } = await this.#readManifest(digest ?? tag ?? DEFAULT_TAG, options.signal);
    const found = digestOf(bytes);
    checkDigest(digest ?? claimed, found, what);
    const { mediaType } = decodeManifest(bytes, said, what);
    return { descriptor: { mediaType, digest: found, size: bytes.length }, bytes };
  }

  readDocument(descriptor: Descriptor, options: ReadOptions): Promise<Uint8Array> {
    const isManifest = isManifestType(descriptor.mediaType) || isIndexType(descriptor.mediaType);
    const open = (): AsyncIterable<Uint8Array> =>
      isManifest
        ? this.#streamManifest(descriptor, options.signal)
        : this.#streamBlob(descriptor, options.signal);
    return readVerifiedDocument(descriptor, open, this.name);
  }

  openBlob(descriptor: Descriptor, options: ReadOptions): AsyncIterable<Uint8Array> {
    return verifiedStream(this.#streamBlob(descriptor, options.signal), descriptor, this.name);
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  #streamBlob(descriptor: Descriptor, signal: AbortSignal): AsyncIterable<Uint8Array> {
    const open = (offset: number): AsyncIterable<Uint8Array> =>
      this.blobs.stream(descriptor.digest, offset, undefined, signal);
    return resumedDownload(open, this.#client, this.#client.retry, signal);
  }

  async *#streamManifest(
    descriptor: Descriptor,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    yield (await this.#readManifest(descriptor.digest, signal)).bytes;
  }

  #readManifest(name: string, signal: AbortSignal): Promise<ReceivedManifest> {
    return this.#client.retried(async () => {
      using response = await this.#client.sendOnce({
        method: "GET",
        target: `manifests/${name}`,
        need: name.includes(":") ? "pull" : "resolve",
        headers: { accept: ACCEPTED_MANIFESTS.join(", ") },
        allow: [200, 404],
        what: `manifest ${name} of ${this.#client.name}`,
        signal,
      });
      if (response.status === 404) {
        await response.drain();
        throw new CodedError("ERR_IMAGE_NOT_FOUND", `${this.#client.name} has no manifest ${name}`);
      }
      const bytes = await response.bytes(MAX_MANIFEST_SIZE);
      const said = response.header("content-type")?.split(";")[0]?.trim();
      return { bytes, claimed: claimedDigest(response), said };
    }, signal);
  }
}

/** A manifest as it came, not verified. */
interface ReceivedManifest {
  readonly bytes: Uint8Array;
  readonly claimed: Digest | undefined;
  /** Its media type, as the registry says. */
  readonly said: string | undefined;
}

/** The digest that the registry says a manifest has; `undefined` when it says none that we can check. */
export function claimedDigest(response: HttpResponse): Digest | undefined {
  const header = response.header("docker-content-digest");
  return header?.startsWith("sha256:") === true ? parseDigest(header) : undefined;
}

/** @throws {CodedError} ERR_DIGEST_MISMATCH when bytes that should have one digest have another. */
export function checkDigest(expected: Digest | undefined, found: Digest, what: string): void {
  if (expected !== undefined && expected !== found) {
    throw new CodedError("ERR_DIGEST_MISMATCH", `${what} should be ${expected}, it is ${found}`);
  }
}
