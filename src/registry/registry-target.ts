import type { Digest } from "../base/digest.ts";
import { CodedError } from "../base/errors.ts";
import type { Descriptor } from "../format/oci/descriptor.ts";
import { formatReference, type Reference } from "../format/oci/reference.ts";
import type { ReadOptions } from "../store/blob-source.ts";
import type { ImageTarget, StoredManifest } from "../store/image-source.ts";
import { digestOf, verifiedStream } from "../store/verified-stream.ts";
import {
  locationOf,
  RegistryClient,
  type RegistryDependencies,
  type RegistryOptions,
} from "./registry-client.ts";
import { registryError } from "./registry-error.ts";
import { checkDigest, claimedDigest } from "./registry-source.ts";

/** How a {@link RegistryTarget} behaves. */
export interface RegistryTargetOptions extends RegistryOptions {
  /** A repository of the same registry that may hold the blobs already. @default none */
  readonly mountFrom?: string;
}

/** Writes one image to a registry. */
export class RegistryTarget implements ImageTarget {
  readonly name: string;
  readonly #client: RegistryClient;
  readonly #reference: Reference;
  readonly #mountFrom: string | undefined;

  constructor(dependencies: RegistryDependencies, reference: Reference, options: RegistryTargetOptions = {}) {
    this.name = formatReference(reference);
    this.#reference = reference;
    this.#client = new RegistryClient(dependencies, reference, options);
    this.#mountFrom = options.mountFrom;
  }

  async hasBlob(descriptor: Descriptor, options: ReadOptions): Promise<boolean> {
    using response = await this.#client.send({
      method: "HEAD",
      target: `blobs/${descriptor.digest}`,
      access: "pull,push",
      allow: [200, 404],
      what: `blob ${descriptor.digest} of ${this.#client.name}`,
      signal: options.signal,
    });
    await response.drain();
    return response.status === 200;
  }

  async writeBlob(
    descriptor: Descriptor,
    open: () => AsyncIterable<Uint8Array>,
    options: ReadOptions,
  ): Promise<void> {
    if (await this.hasBlob(descriptor, options)) return;
    // A broken upload has an unknown state at the server: each attempt begins a new one.
    await this.#client.retried(() => this.#upload(descriptor, open, options.signal), options.signal);
  }

  async writeManifest(manifest: StoredManifest, isTop: boolean, options: ReadOptions): Promise<void> {
    const { descriptor, bytes } = manifest;
    const { tag, digest } = this.#reference;
    checkDigest(descriptor.digest, digestOf(bytes), `manifest for ${this.name}`);
    if (isTop && digest !== undefined) checkDigest(digest, descriptor.digest, `manifest for ${this.name}`);
    const name = isTop && tag !== undefined ? tag : descriptor.digest;
    using response = await this.#client.send({
      method: "PUT",
      target: `manifests/${name}`,
      access: "pull,push",
      headers: { "content-type": descriptor.mediaType },
      body: () => bytes,
      allow: [200, 201, 202],
      what: `manifest ${name} of ${this.#client.name}`,
      signal: options.signal,
    });
    await response.drain();
    checkDigest(
      claimedDigest(response),
      descriptor.digest,
      `manifest ${name} as ${this.#client.name} stored it`,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  async #upload(
    descriptor: Descriptor,
    open: () => AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<void> {
    const { digest, size } = descriptor;
    const what = `upload of ${digest} to ${this.#client.name}`;
    const location = await this.#beginUpload(digest, what, signal);
    if (location === undefined) return;
    location.searchParams.set("digest", digest);
    using response = await this.#client.send({
      method: "PUT",
      target: location,
      access: "pull,push",
      headers: { "content-type": "application/octet-stream" },
      body: () => verifiedStream(open(), descriptor, "the converter"),
      bodySize: size,
      allow: [201, 202, 204, 400, 404],
      what,
      isRepeatable: false,
      signal,
    });
    if (response.status === 404) {
      // The session went away with the server that held it.
      await response.drain();
      throw new CodedError("ERR_SOURCE_UNAVAILABLE", `${what}: the upload session is gone`);
    }
    if (response.status === 400) throw await registryError(response, what);
    await response.drain();
    checkDigest(claimedDigest(response), digest, what);
  }

  /** Where to send the bytes; `undefined` when the registry took the blob from another repository. */
  async #beginUpload(digest: Digest, what: string, signal: AbortSignal): Promise<URL | undefined> {
    const from = this.#mountFrom;
    const query = from === undefined ? "" : `?${new URLSearchParams({ mount: digest, from })}`;
    using response = await this.#client.send({
      method: "POST",
      target: `blobs/uploads/${query}`,
      access: "pull,push",
      allow: [201, 202],
      what,
      isRepeatable: false,
      signal,
    });
    await response.drain();
    return response.status === 201 && from !== undefined ? undefined : locationOf(response);
  }
}
