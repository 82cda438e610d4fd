import type { Descriptor } from "../format/oci/descriptor.ts";
import { formatReference, type Reference } from "../format/oci/reference.ts";
import type { ReadOptions } from "../store/blob-source.ts";
import type { ImageTarget, StoredManifest, WriteOptions } from "../store/image-source.ts";
import { digestOf } from "../store/verified-stream.ts";
import { uploadBlob } from "./blob-upload.ts";
import { RegistryClient, type RegistryDependencies, type RegistryOptions } from "./registry-client.ts";
import { checkDigest, claimedDigest } from "./registry-source.ts";

/** Writes one image to a registry. */
export class RegistryTarget implements ImageTarget {
  readonly name: string;
  readonly #client: RegistryClient;
  readonly #reference: Reference;

  constructor(dependencies: RegistryDependencies, reference: Reference, options: RegistryOptions = {}) {
    this.name = formatReference(reference);
    this.#reference = reference;
    this.#client = new RegistryClient(dependencies, reference, options);
  }

  async hasBlob(descriptor: Descriptor, options: ReadOptions): Promise<boolean> {
    using response = await this.#client.send({
      method: "HEAD",
      target: `blobs/${descriptor.digest}`,
      need: "push",
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
    options: WriteOptions,
  ): Promise<void> {
    if (await this.hasBlob(descriptor, options)) return;
    const { mountFrom, signal } = options;
    const { registry, repository } = this.#reference;
    const isMountable = mountFrom?.registry === registry && mountFrom.name !== repository;
    await uploadBlob(
      this.#client,
      { descriptor, open, mountFrom: isMountable ? mountFrom.name : undefined },
      signal,
    );
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
      need: "push",
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
}
