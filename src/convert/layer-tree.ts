import { DIGEST_LENGTH } from "../codec/digest.ts";
import type { ChunkTable } from "../format/blob/chunk-table.ts";
import { writeBootstrap } from "../image/bootstrap-writer.ts";
import type { Blob, Chunk } from "../image/chunk.ts";
import { buildLayerTree } from "../image/overlay.ts";
import type { Directory } from "../image/tree.ts";
import type { CheckedConvertOptions } from "./convert-options.ts";
import { type PackedEntries, unpackEntries } from "./packed-entries.ts";
import type { ReadBackBlob } from "./read-back-blob.ts";
import { verifyBootstrap } from "./verify-image.ts";

/** How the bootstraps of layers are written. */
export type LayerTreeOptions = Pick<CheckedConvertOptions, "chunkSize" | "compressor" | "digester">;

/** Where the chunks of a blob lie; the fields of a {@link ChunkTable}, which loses its methods between threads. */
export type ChunkColumns = Pick<
  ChunkTable,
  "count" | "storedOffsets" | "storedSizes" | "decodedOffsets" | "decodedSizes"
>;

/** What is done with a layer once all its entries and chunks are known: nothing of it needs the bytes of files. */
export interface LayerInWork {
  /** The bootstrap of the layer alone, given its blob, or nothing when there are no chunks. */
  encodeBootstrap(columns: ChunkColumns, blob: Blob | undefined): Promise<Uint8Array>;
  /**
   * Compares the written blob with what was read of the layer.
   *
   * @throws {CodedError} as {@link verifyBootstrap}.
   */
  verify(what: string, readBack: ReadBackBlob, blobId: string): Promise<void>;
  /** The entries. The last call: nothing is kept. */
  takeEntries(): Promise<PackedEntries[]>;
}

/** A {@link LayerInWork} in this thread. */
export class LayerTree implements LayerInWork {
  readonly #options: LayerTreeOptions;
  readonly #digests: Uint8Array;
  #packs: PackedEntries[];
  #tree: Directory | undefined;

  /** @param digests 32 bytes for each chunk, as the reader of the layer took them. */
  constructor(packs: PackedEntries[], digests: Uint8Array, options: LayerTreeOptions) {
    this.#packs = packs;
    this.#digests = digests;
    this.#options = options;
  }

  async encodeBootstrap(columns: ChunkColumns, blob: Blob | undefined): Promise<Uint8Array> {
    const root = buildLayerTree(unpackEntries(this.#packs, chunksOf(columns, this.#digests)));
    this.#tree = root;
    const image = { root, blobs: blob === undefined ? [] : [blob], ...this.#options, prefetch: [] };
    return writeBootstrap(image, blob === undefined ? {} : { inlineBlobIndex: 0 }).bytes;
  }

  async verify(what: string, readBack: ReadBackBlob, blobId: string): Promise<void> {
    if (this.#tree === undefined) throw new TypeError("a layer without its tree");
    verifyBootstrap(what, readBack.bootstrap, this.#tree, new Map([[blobId, readBack]]), blobId);
    this.#tree = undefined;
  }

  async takeEntries(): Promise<PackedEntries[]> {
    const packs = this.#packs;
    this.#packs = [];
    this.#tree = undefined;
    return packs;
  }
}

/**
 * The chunks of a blob, as chunks of blob 0.
 *
 * @param digests 32 bytes for each.
 */
export function chunksOf(columns: ChunkColumns, digests: Uint8Array): Chunk[] {
  const { count, storedOffsets, storedSizes, decodedOffsets, decodedSizes } = columns;
  if (digests.length !== count * DIGEST_LENGTH) {
    throw new TypeError(`${digests.length} bytes of digests for ${count} chunks`);
  }
  return Array.from({ length: count }, (_, index) => ({
    blobIndex: 0,
    index,
    digest: digests.subarray(index * DIGEST_LENGTH, (index + 1) * DIGEST_LENGTH),
    decodedOffset: decodedOffsets[index] ?? 0,
    decodedSize: decodedSizes[index] ?? 0,
    storedOffset: storedOffsets[index] ?? 0,
    storedSize: storedSizes[index] ?? 0,
    crc32c: undefined,
  }));
}
