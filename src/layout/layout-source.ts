import { throwIfAborted } from "../base/abort.ts";
import { type Digest, digestFromHex, digestHex } from "../base/digest.ts";
import { CodedError } from "../base/errors.ts";
import type { Descriptor } from "../format/oci/descriptor.ts";
import { MAX_DOCUMENT_SIZE } from "../format/oci/limits.ts";
import type { BlobSource, ReadOptions } from "../store/blob-source.ts";
import type { ImageSource, StoredManifest } from "../store/image-source.ts";
import { readVerifiedDocument } from "../store/read-document.ts";
import { verifiedStream } from "../store/verified-stream.ts";
import { DirectoryFiles, type FileSet } from "./file-set.ts";
import { decodeLayoutIndex, findImage } from "./layout-index.ts";
import { readStored, type StoredFile, streamStored } from "./stored-file.ts";

/** Reads the image `tag` of the OCI layout in a directory. Nothing is opened before the first read. */
export function openLayoutSource(directory: string, tag?: string): LayoutSource {
  const name = `oci:${directory}${tag === undefined ? "" : `:${tag}`}`;
  return new LayoutSource(
    { files: new DirectoryFiles(directory) },
    { name, ...(tag !== undefined && { tag }) },
  );
}

/** One image of an OCI layout, in whatever holds its files. */
export class LayoutSource implements ImageSource {
  readonly name: string;
  readonly blobs: BlobSource;
  readonly #files: FileSet;
  readonly #tag: string | undefined;

  constructor(
    dependencies: { readonly files: FileSet },
    options: { readonly name: string; readonly tag?: string },
  ) {
    this.#files = dependencies.files;
    this.name = options.name;
    this.#tag = options.tag;
    this.blobs = {
      name: options.name,
      read: (blobId, offset, length, readOptions) => this.#readRange(blobId, offset, length, readOptions),
      size: async (blobId, { signal }) => (await this.#blob(digestFromHex(blobId), signal)).size,
    };
  }

  async resolve(options: ReadOptions): Promise<StoredManifest> {
    throwIfAborted(options.signal);
    const file = await this.#files.find("index.json");
    if (file === undefined) {
      throw new CodedError("ERR_IMAGE_NOT_FOUND", `${this.name} is no OCI layout: it has no index.json`);
    }
    const what = `index.json of ${this.name}`;
    if (file.size > MAX_DOCUMENT_SIZE) {
      throw new CodedError(
        "ERR_LIMIT_EXCEEDED",
        `${what} has ${file.size} bytes, at most ${MAX_DOCUMENT_SIZE} are read`,
      );
    }
    const index = decodeLayoutIndex(await readStored(file, 0, file.size, what, "ERR_IMAGE_INVALID"), what);
    const descriptor = findImage(index, this.#tag, this.name);
    return { descriptor, bytes: await this.readDocument(descriptor, options) };
  }

  readDocument(descriptor: Descriptor, options: ReadOptions): Promise<Uint8Array> {
    return readVerifiedDocument(descriptor, () => this.#stream(descriptor.digest, options.signal), this.name);
  }

  openBlob(descriptor: Descriptor, options: ReadOptions): AsyncIterable<Uint8Array> {
    return verifiedStream(this.#stream(descriptor.digest, options.signal), descriptor, this.name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#files[Symbol.asyncDispose]();
  }

  async *#stream(digest: Digest, signal: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
    yield* streamStored(await this.#blob(digest, signal), `${digest} in ${this.name}`, signal);
  }

  async #readRange(
    blobId: string,
    offset: number,
    length: number,
    options: ReadOptions,
  ): Promise<Uint8Array> {
    const file = await this.#blob(digestFromHex(blobId), options.signal);
    return readStored(file, offset, length, `blob ${blobId} in ${this.name}`, "ERR_BLOB_CORRUPT");
  }

  async #blob(digest: Digest, signal: AbortSignal): Promise<StoredFile> {
    throwIfAborted(signal);
    const file = await this.#files.find(`blobs/sha256/${digestHex(digest)}`);
    if (file === undefined) throw new CodedError("ERR_BLOB_NOT_FOUND", `${this.name} has no blob ${digest}`);
    return file;
  }
}
