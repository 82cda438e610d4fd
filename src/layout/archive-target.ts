import { readdir, rm } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { throwIfAborted } from "../base/abort.ts";
import type { Descriptor } from "../format/oci/descriptor.ts";
import type { ReadOptions } from "../store/blob-source.ts";
import type { ImageTarget, StoredManifest } from "../store/image-source.ts";
import { ioOf, removeAbandonedFiles, temporaryPath, writeDurably } from "./durable-file.ts";
import { LayoutTarget } from "./layout-target.ts";
import { openStoredFile, streamStored } from "./stored-file.ts";
import { encodeTarHeader, TAR_RECORD_SIZE } from "./tar-header.ts";

/**
 * Writes an image into an OCI layout in a tar archive. An archive of that name is replaced as a whole
 * when the top manifest is written; until then the blobs lie in a hidden directory beside it.
 *
 * The same image gives the same archive, whatever the order its blobs came in.
 */
export class ArchiveTarget implements ImageTarget {
  readonly name: string;
  readonly #file: string;
  readonly #staging: string;
  readonly #layout: LayoutTarget;
  #cleaned: Promise<void> | undefined;

  constructor(file: string, options: { readonly tag?: string } = {}) {
    this.name = `oci-archive:${file}${options.tag === undefined ? "" : `:${options.tag}`}`;
    this.#file = resolve(file);
    this.#staging = temporaryPath(dirname(this.#file));
    this.#layout = new LayoutTarget(this.#staging, options);
  }

  hasBlob(descriptor: Descriptor, options: ReadOptions): Promise<boolean> {
    return this.#layout.hasBlob(descriptor, options);
  }

  async writeBlob(
    descriptor: Descriptor,
    open: () => AsyncIterable<Uint8Array>,
    options: ReadOptions,
  ): Promise<void> {
    this.#cleaned ??= removeAbandonedFiles(dirname(this.#file));
    await this.#cleaned;
    await this.#layout.writeBlob(descriptor, open, options);
  }

  async writeManifest(manifest: StoredManifest, isTop: boolean, options: ReadOptions): Promise<void> {
    await this.#layout.writeManifest(manifest, isTop, options);
    if (isTop) await writeDurably(this.#file, dirname(this.#file), this.#archive(options.signal));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#staging, { recursive: true, force: true });
  }

  async *#archive(signal: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
    const blobs = await ioOf(this.#staging, readdir(join(this.#staging, "blobs", "sha256")));
    yield encodeTarHeader("blobs/", "5", 0);
    yield encodeTarHeader("blobs/sha256/", "5", 0);
    for (const name of blobs.sort()) yield* this.#member(`blobs/sha256/${name}`, signal);
    yield* this.#member("index.json", signal);
    yield* this.#member("oci-layout", signal);
    yield new Uint8Array(2 * TAR_RECORD_SIZE);
  }

  async *#member(name: string, signal: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
    throwIfAborted(signal);
    const file = await openStoredFile(join(this.#staging, name));
    if (file === undefined) throw new Error(`${name} is gone from ${this.#staging}`);
    try {
      yield encodeTarHeader(name, "0", file.size);
      yield* streamStored(file, name, signal);
      const padding = (TAR_RECORD_SIZE - (file.size % TAR_RECORD_SIZE)) % TAR_RECORD_SIZE;
      if (padding > 0) yield new Uint8Array(padding);
    } finally {
      await file.handle.close();
    }
  }
}
