import { orAborted } from "../base/abort.ts";
import { CodedError } from "../base/errors.ts";
import { limit } from "../base/limit.ts";
import { MAX_CHUNK_COUNT } from "../format/blob/chunk-table.ts";
import { chunkTableDifferences, digestsOfChunks } from "../image/blob-chunks.ts";
import type { Bootstrap } from "../image/bootstrap.ts";
import type { BootstrapOutline } from "../image/bootstrap-outline.ts";
import type { Blob, Chunk } from "../image/chunk.ts";
import { chunkTableOfV5 } from "../image/chunk-table-v5.ts";
import type { BlobSource, ReadOptions } from "../store/blob-source.ts";
import type { CacheableBlob } from "../store/chunk-cache.ts";
import type { ImageSource } from "../store/image-source.ts";
import { readBlobDigests } from "./blob-digests.ts";
import { checkSupported, chunkTableOfMeta, isCompleteMeta, readBlobMeta } from "./blob-meta.ts";
import type { NydusManifest } from "./select-nydus-manifest.ts";

/** Chunk tables read at once. */
const TABLE_READS = 8;
/** Chunks of all blobs of an image: a bootstrap can claim any number in a few bytes. */
const MAX_IMAGE_CHUNKS = MAX_CHUNK_COUNT;

/** What {@link NydusImage} is made of. */
export interface NydusImageParts {
  readonly name: string;
  readonly outline: BootstrapOutline;
  readonly bootstrapBytes: Uint8Array;
  readonly source: BlobSource;
  readonly metaFiles: ReadonlyMap<string, Uint8Array>;
  readonly selected: NydusManifest | undefined;
  readonly imageSource: ImageSource | undefined;
  readonly resources: AsyncDisposable | undefined;
}

/** A chunk table that is being loaded, or was. */
interface LoadingBlob {
  readonly blob: Promise<CacheableBlob>;
  readonly controller: AbortController;
  waiters: number;
}

/**
 * A Nydus image that is open for reading: its tree, and its blobs as far as they were asked for.
 *
 * What proves a chunk is its digest in the bootstrap, which the manifest's digest covers; where a chunk lies
 * may come from the blob itself.
 */
export class NydusImage implements AsyncDisposable {
  /** As the user wrote it. */
  readonly name: string;
  /** What the bootstrap says of its blobs. */
  readonly outline: BootstrapOutline;
  /** The bootstrap as it is stored, v5 or v6. */
  readonly bootstrapBytes: Uint8Array;
  /** Stored ranges of the image's blobs. */
  readonly source: BlobSource;
  /** Files of the bootstrap layer, by blob id, as they are there. */
  readonly metaFiles: ReadonlyMap<string, Uint8Array>;
  /** Absent for an image that is a bootstrap file with directories of blobs. */
  readonly selected: NydusManifest | undefined;
  /** Where manifest and configuration are; absent as {@link NydusImage.selected} is. */
  readonly imageSource: ImageSource | undefined;
  readonly #resources: AsyncDisposable | undefined;
  readonly #blobs: (LoadingBlob | undefined)[] = [];
  #chunks: readonly (readonly Chunk[])[] | undefined;

  constructor(parts: NydusImageParts) {
    this.name = parts.name;
    this.outline = parts.outline;
    this.bootstrapBytes = parts.bootstrapBytes;
    this.source = parts.source;
    this.metaFiles = parts.metaFiles;
    this.selected = parts.selected;
    this.imageSource = parts.imageSource;
    this.#resources = parts.resources;
  }

  /**
   * The bootstrap with its tree; read when first asked for.
   *
   * @throws {CodedError} ERR_BOOTSTRAP_CORRUPT.
   */
  get bootstrap(): Bootstrap {
    return this.outline.bootstrap;
  }

  /** The chunks of a blob that the image uses, each once. */
  chunksOf(blobIndex: number): readonly Chunk[] {
    this.#chunks ??= this.outline.chunksByBlob();
    return this.#chunks[blobIndex] ?? [];
  }

  /**
   * A blob with its chunk table: from the bootstrap layer where it is there, else by one request to the
   * source. Loaded once; a failure is not remembered.
   *
   * @param blobIndex Row of `outline.blobs`.
   * @throws {CodedError} ERR_BLOB_CORRUPT when the table contradicts itself or the bootstrap,
   *   ERR_FEATURE_UNSUPPORTED naming the feature, ERR_LIMIT_EXCEEDED, and what the source throws.
   */
  async loadBlob(blobIndex: number, { signal }: ReadOptions): Promise<CacheableBlob> {
    const known = this.#blobs[blobIndex];
    const loading = known ?? this.#startLoading(blobIndex);
    loading.waiters++;
    try {
      return await orAborted(loading.blob, signal);
    } finally {
      // One caller's signal must not end what others wait for: only the last to leave stops the work.
      if (--loading.waiters === 0 && signal.aborted) {
        this.#forget(blobIndex, loading);
        loading.controller.abort(signal.reason);
      }
    }
  }

  /** All blobs with their chunk tables, as {@link NydusImage.loadBlob}, in the order of the blob table. */
  loadBlobs(options: ReadOptions): Promise<readonly CacheableBlob[]> {
    const inTurn = limit(TABLE_READS);
    return Promise.all(
      this.outline.blobs.map((_, blobIndex) => inTurn(() => this.loadBlob(blobIndex, options))),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources?.[Symbol.asyncDispose]();
  }

  #startLoading(blobIndex: number): LoadingBlob {
    const controller = new AbortController();
    const blob = this.#load(blobIndex, { signal: controller.signal });
    const loading: LoadingBlob = { blob, controller, waiters: 0 };
    this.#blobs[blobIndex] = loading;
    blob.catch(() => this.#forget(blobIndex, loading));
    return loading;
  }

  #forget(blobIndex: number, loading: LoadingBlob): void {
    if (this.#blobs[blobIndex] === loading) this.#blobs[blobIndex] = undefined;
  }

  async #load(blobIndex: number, options: ReadOptions): Promise<CacheableBlob> {
    const blob = this.outline.blobs[blobIndex];
    if (blob === undefined) throw new RangeError(`image ${this.name} has no blob ${blobIndex}`);
    checkSupported(blob);
    this.#checkCounts();
    const common = {
      id: blob.id,
      compressor: blob.compressor,
      digester: blob.digester,
      decodedSize: blob.decodedSize,
    };
    if (this.outline.fsVersion === 5) return { ...common, ...chunkTableOfV5(this.bootstrap, blobIndex) };
    const chunks = this.chunksOf(blobIndex);
    const metaBytes = await this.#metaBytes(blob, options);
    const table = chunkTableOfMeta(metaBytes, blob);
    for (const difference of chunkTableDifferences(chunks, table)) {
      throw new CodedError("ERR_BLOB_CORRUPT", `blob ${blob.id}: ${difference}`);
    }
    // Without a chunk table in the bootstrap, what the blob says of its chunks may still be proven.
    const digests =
      digestsOfChunks(chunks, table.count) ?? (await readBlobDigests(this.source, blob, options));
    return { ...common, table, digests, metaBytes };
  }

  async #metaBytes(blob: Blob, options: ReadOptions): Promise<Uint8Array> {
    const packed = this.metaFiles.get(blob.id);
    if (packed !== undefined && isCompleteMeta(packed, blob)) return packed;
    return readBlobMeta(this.source, blob, options);
  }

  #checkCounts(): void {
    const count = this.outline.blobs.reduce((sum, blob) => sum + blob.chunkCount, 0);
    if (count > MAX_IMAGE_CHUNKS) {
      throw new CodedError(
        "ERR_LIMIT_EXCEEDED",
        `image ${this.name} has ${count} chunks, at most ${MAX_IMAGE_CHUNKS}`,
      );
    }
  }
}
