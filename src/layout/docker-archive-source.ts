import { createHash } from "node:crypto";
import { orAborted, throwIfAborted } from "../base/abort.ts";
import { type Digest, digestFromHex } from "../base/digest.ts";
import { CodedError } from "../base/errors.ts";
import type { Descriptor } from "../format/oci/descriptor.ts";
import { checkLayerCount, decodeImageConfig } from "../format/oci/image-config.ts";
import { MAX_DOCUMENT_SIZE } from "../format/oci/limits.ts";
import { encodeManifest } from "../format/oci/manifest.ts";
import {
  OCI_CONFIG,
  OCI_LAYER_GZIP,
  OCI_LAYER_TAR,
  OCI_LAYER_ZSTD,
  OCI_MANIFEST,
} from "../format/oci/media-types.ts";
import type { Reference } from "../format/oci/reference.ts";
import { formatReference } from "../format/oci/reference.ts";
import type { BlobSource, ReadOptions } from "../store/blob-source.ts";
import type { ImageSource, StoredManifest } from "../store/image-source.ts";
import { readVerifiedDocument } from "../store/read-document.ts";
import { digestOf, verifiedStream } from "../store/verified-stream.ts";
import { ArchiveFiles } from "./archive-files.ts";
import {
  type DockerArchiveImage,
  decodeDockerArchiveIndex,
  findDockerImage,
} from "./docker-archive-index.ts";
import { readStored, type StoredFile, streamStored } from "./stored-file.ts";

interface Presented {
  readonly manifest: StoredManifest;
  /** Layers and configuration by digest. */
  readonly files: ReadonlyMap<Digest, StoredFile>;
}

/**
 * Reads one image of a `docker save` archive.
 *
 * Such archives have no manifest: one is made up, with digests found by reading every layer once, at the
 * first use. Layers are named by their stored bytes, which `docker save` writes uncompressed.
 */
export class DockerArchiveSource implements ImageSource {
  readonly name: string;
  readonly blobs: BlobSource;
  readonly #files: ArchiveFiles;
  readonly #reference: Reference | undefined;
  /** Ends the reading of the layers, which no single caller owns, when the source is disposed. */
  readonly #scan = new AbortController();
  #presented: Promise<Presented> | undefined;

  constructor(file: string, reference?: Reference) {
    this.name = `docker-archive:${file}${reference === undefined ? "" : `:${formatReference(reference)}`}`;
    this.#files = new ArchiveFiles(file);
    this.#reference = reference;
    this.blobs = {
      name: this.name,
      read: async (blobId, offset, length, { signal }) =>
        readStored(
          await this.#blob(digestFromHex(blobId), signal),
          offset,
          length,
          `blob ${blobId}`,
          "ERR_BLOB_CORRUPT",
        ),
      size: async (blobId, { signal }) => (await this.#blob(digestFromHex(blobId), signal)).size,
    };
  }

  async resolve(options: ReadOptions): Promise<StoredManifest> {
    return (await this.#present(options.signal)).manifest;
  }

  async readDocument(descriptor: Descriptor, options: ReadOptions): Promise<Uint8Array> {
    const { manifest } = await this.#present(options.signal);
    if (descriptor.digest === manifest.descriptor.digest) return manifest.bytes;
    return readVerifiedDocument(descriptor, () => this.#stream(descriptor.digest, options.signal), this.name);
  }

  openBlob(descriptor: Descriptor, options: ReadOptions): AsyncIterable<Uint8Array> {
    return verifiedStream(this.#stream(descriptor.digest, options.signal), descriptor, this.name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#scan.abort();
    await this.#presented?.catch(() => undefined);
    await this.#files[Symbol.asyncDispose]();
  }

  async *#stream(digest: Digest, signal: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
    yield* streamStored(await this.#blob(digest, signal), `${digest} in ${this.name}`, signal);
  }

  async #blob(digest: Digest, signal: AbortSignal): Promise<StoredFile> {
    const file = (await this.#present(signal)).files.get(digest);
    if (file === undefined) throw new CodedError("ERR_BLOB_NOT_FOUND", `${this.name} has no blob ${digest}`);
    return file;
  }

  async #present(signal: AbortSignal): Promise<Presented> {
    throwIfAborted(signal);
    this.#presented ??= this.#read(this.#scan.signal).catch((error: unknown) => {
      this.#presented = undefined;
      throw error;
    });
    return orAborted(this.#presented, signal);
  }

  async #read(signal: AbortSignal): Promise<Presented> {
    const index = await this.#document("manifest.json");
    const image = findDockerImage(decodeDockerArchiveIndex(index, this.name), this.#reference, this.name);
    const configBytes = await this.#document(image.config);
    const config = decodeImageConfig(configBytes, `${image.config} of ${this.name}`);
    checkLayerCount(config, image.layers.length);
    const files = new Map<Digest, StoredFile>();
    const layers: Descriptor[] = [];
    for (const [position, path] of image.layers.entries()) {
      const { file, descriptor } = await this.#layer(path, signal);
      const diffId = config.diffIds[position];
      if (descriptor.mediaType === OCI_LAYER_TAR && descriptor.digest !== diffId) {
        throw new CodedError(
          "ERR_DIGEST_MISMATCH",
          `${path} of ${this.name} should be ${diffId}, it is ${descriptor.digest}`,
        );
      }
      files.set(descriptor.digest, file);
      layers.push(descriptor);
    }
    return { files, manifest: await this.#makeManifest(image, configBytes, layers, files) };
  }

  async #makeManifest(
    image: DockerArchiveImage,
    configBytes: Uint8Array,
    layers: readonly Descriptor[],
    files: Map<Digest, StoredFile>,
  ): Promise<StoredManifest> {
    const config = { mediaType: OCI_CONFIG, digest: digestOf(configBytes), size: configBytes.length };
    files.set(config.digest, await this.#member(image.config));
    const bytes = encodeManifest({ kind: "manifest", mediaType: OCI_MANIFEST, config, layers });
    return { descriptor: { mediaType: OCI_MANIFEST, digest: digestOf(bytes), size: bytes.length }, bytes };
  }

  async #layer(path: string, signal: AbortSignal): Promise<{ file: StoredFile; descriptor: Descriptor }> {
    const file = await this.#member(path);
    const sha256 = createHash("sha256");
    let mediaType: string | undefined;
    for await (const piece of streamStored(file, `${path} of ${this.name}`, signal)) {
      mediaType ??= mediaTypeOf(piece);
      sha256.update(piece);
    }
    const digest = digestFromHex(sha256.digest("hex"));
    return { file, descriptor: { mediaType: mediaType ?? OCI_LAYER_TAR, digest, size: file.size } };
  }

  async #document(path: string): Promise<Uint8Array> {
    const file = await this.#member(path);
    if (file.size > MAX_DOCUMENT_SIZE) {
      throw new CodedError("ERR_LIMIT_EXCEEDED", `${path} of ${this.name} has ${file.size} bytes`);
    }
    return readStored(file, 0, file.size, `${path} of ${this.name}`, "ERR_ARCHIVE_CORRUPT");
  }

  async #member(path: string): Promise<StoredFile> {
    const file = await this.#files.find(path);
    if (file === undefined)
      throw new CodedError("ERR_IMAGE_INVALID", `${this.name} has no member ${JSON.stringify(path)}`);
    return file;
  }
}

function mediaTypeOf(head: Uint8Array): string {
  if (head[0] === 0x1f && head[1] === 0x8b) return OCI_LAYER_GZIP;
  const isZstd = head[0] === 0x28 && head[1] === 0xb5 && head[2] === 0x2f && head[3] === 0xfd;
  return isZstd ? OCI_LAYER_ZSTD : OCI_LAYER_TAR;
}
