import { stat } from "node:fs/promises";
import { join } from "node:path";
import { throwIfAborted } from "../base/abort.ts";
import { digestHex } from "../base/digest.ts";
import { CodedError } from "../base/errors.ts";
import { limit } from "../base/limit.ts";
import type { Descriptor } from "../format/oci/descriptor.ts";
import { MAX_DOCUMENT_SIZE } from "../format/oci/limits.ts";
import type { ReadOptions } from "../store/blob-source.ts";
import type { ImageTarget, StoredManifest } from "../store/image-source.ts";
import { makeDirectory } from "../store/make-directory.ts";
import { verifiedStream } from "../store/verified-stream.ts";
import { ioOf, removeAbandonedFiles, syncDirectory, writeDurably } from "./durable-file.ts";
import {
  decodeLayoutIndex,
  EMPTY_LAYOUT,
  encodeLayoutIndex,
  type LayoutIndex,
  withImage,
} from "./layout-index.ts";
import { openStoredFile, readStored } from "./stored-file.ts";

/**
 * Writes an image into the OCI layout in a directory, which is made when it is not there.
 *
 * Other images of the layout stay. A crash at any moment leaves a valid layout with the image as it
 * was before or as it is after. Two programs that write to one layout at once may lose a tag.
 */
export class LayoutTarget implements ImageTarget {
  readonly name: string;
  readonly #directory: string;
  readonly #blobs: string;
  readonly #tag: string | undefined;
  readonly #inTurn = limit(1);
  #prepared: Promise<void> | undefined;

  constructor(directory: string, options: { readonly tag?: string } = {}) {
    this.#directory = directory;
    this.#blobs = join(directory, "blobs", "sha256");
    this.#tag = options.tag;
    this.name = `oci:${directory}${options.tag === undefined ? "" : `:${options.tag}`}`;
  }

  async hasBlob(descriptor: Descriptor, options: ReadOptions): Promise<boolean> {
    throwIfAborted(options.signal);
    // A size that differs is the remains of another writer's crash.
    const found = await stat(this.#blobPath(descriptor)).catch(() => undefined);
    return found?.isFile() === true && found.size === descriptor.size;
  }

  async writeBlob(
    descriptor: Descriptor,
    open: () => AsyncIterable<Uint8Array>,
    options: ReadOptions,
  ): Promise<void> {
    if (await this.hasBlob(descriptor, options)) return;
    await this.#prepare();
    const pieces = verifiedStream(untilAborted(open(), options.signal), descriptor, this.name);
    await writeDurably(this.#blobPath(descriptor), this.#directory, pieces);
  }

  async writeManifest(manifest: StoredManifest, isTop: boolean, options: ReadOptions): Promise<void> {
    const { descriptor, bytes } = manifest;
    await this.writeBlob(descriptor, () => onePiece(bytes), options);
    if (isTop) await this.#inTurn(() => this.#nameImage(descriptor));
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  async #nameImage(descriptor: Descriptor): Promise<void> {
    const path = join(this.#directory, "index.json");
    const index = withImage(await this.#readIndex(path), this.#tag, descriptor);
    await writeDurably(path, this.#directory, [encodeLayoutIndex(index)]);
  }

  async #readIndex(path: string): Promise<LayoutIndex> {
    const file = await openStoredFile(path);
    if (file === undefined) return EMPTY_LAYOUT;
    try {
      if (file.size > MAX_DOCUMENT_SIZE)
        throw new CodedError("ERR_LIMIT_EXCEEDED", `${path} has ${file.size} bytes`);
      return decodeLayoutIndex(await readStored(file, 0, file.size, path, "ERR_IMAGE_INVALID"), path);
    } finally {
      await file.handle.close();
    }
  }

  #prepare(): Promise<void> {
    this.#prepared ??= this.#makeLayout();
    return this.#prepared;
  }

  async #makeLayout(): Promise<void> {
    await ioOf(this.#blobs, makeDirectory(this.#blobs));
    await removeAbandonedFiles(this.#directory);
    const marker = join(this.#directory, "oci-layout");
    if ((await stat(marker).catch(() => undefined)) === undefined) {
      await writeDurably(marker, this.#directory, [Buffer.from('{"imageLayoutVersion":"1.0.0"}')]);
    }
    await syncDirectory(join(this.#directory, "blobs"));
  }

  #blobPath(descriptor: Descriptor): string {
    return join(this.#blobs, digestHex(descriptor.digest));
  }
}

async function* untilAborted(
  pieces: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  throwIfAborted(signal);
  for await (const piece of pieces) {
    throwIfAborted(signal);
    yield piece;
  }
}

async function* onePiece(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  yield bytes;
}
