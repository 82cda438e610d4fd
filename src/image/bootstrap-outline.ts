import { chunksByBlob } from "./blob-chunks.ts";
import { blobOfRecord, checkBlobId } from "./blob-conversion.ts";
import type { Bootstrap, ReadBootstrapOptions } from "./bootstrap.ts";
import { readBootstrapHeader } from "./bootstrap-header.ts";
import { readBootstrap } from "./bootstrap-reader.ts";
import { isBootstrapV5 } from "./bootstrap-v5-tables.ts";
import type { Blob, Chunk } from "./chunk.ts";
import { ChunkCatalog } from "./chunk-catalog.ts";

/**
 * What a bootstrap says of its blobs, and the rest when it is asked for. A mount needs no tree: of a v6 bootstrap
 * only super-blocks and tables are read here, so an image of any size is ready at once.
 */
export class BootstrapOutline {
  readonly fsVersion: 5 | 6;
  readonly blobs: readonly Blob[];
  readonly #bytes: Uint8Array;
  readonly #options: ReadBootstrapOptions;
  #bootstrap: Bootstrap | undefined;

  /**
   * @throws {CodedError} ERR_BOOTSTRAP_CORRUPT; ERR_FEATURE_UNSUPPORTED, naming the feature; ERR_OPTION_INVALID for a
   *   `blobId` that is none.
   */
  constructor(bytes: Uint8Array, options: ReadBootstrapOptions = {}) {
    const { blobId } = options;
    checkBlobId(blobId);
    this.#bytes = bytes;
    this.#options = options;
    this.fsVersion = isBootstrapV5(bytes) ? 5 : 6;
    this.blobs =
      this.fsVersion === 5
        ? this.bootstrap.blobs
        : readBootstrapHeader(bytes, options).blobs.map((record) => blobOfRecord(record, blobId));
  }

  /**
   * The whole bootstrap with its tree; read when first asked for.
   *
   * @throws {CodedError} ERR_BOOTSTRAP_CORRUPT.
   */
  get bootstrap(): Bootstrap {
    this.#bootstrap ??= readBootstrap(this.#bytes, this.#options);
    return this.#bootstrap;
  }

  /**
   * The chunks of the image, each once, by blob: what the chunk table records, or what the files use when a v6
   * bootstrap has no chunk table.
   *
   * @throws {CodedError} ERR_BOOTSTRAP_CORRUPT.
   */
  chunksByBlob(): Chunk[][] {
    if (this.fsVersion === 5) return chunksByBlob(this.bootstrap);
    const { superblock, extended } = readBootstrapHeader(this.#bytes, this.#options);
    if (extended.chunkTableSize === 0) return chunksByBlob(this.bootstrap);
    const { chunkTableOffset, chunkTableSize } = extended;
    const blockSize = 2 ** superblock.blockBits;
    return new ChunkCatalog(this.#bytes, chunkTableOffset, chunkTableSize, blockSize).byBlob(
      this.blobs.length,
    );
  }
}
