import type { ByteString } from "../base/bytes.ts";
import type { Blob } from "../image/chunk.ts";
import type { LayerEntry } from "../image/layer-entry.ts";
import { LayeredTree } from "../image/overlay.ts";
import type { Image } from "../image/tree.ts";
import type { BlobFile } from "./blob-writer.ts";
import type { CheckedConvertOptions } from "./convert-options.ts";
import { type LayerChunks, SharedChunks, type SharedSize } from "./shared-chunks.ts";

/** What merging needs of a layer. */
export interface MergeableLayer {
  /** With chunks of blob 0. */
  readonly entries: Iterable<LayerEntry>;
  readonly file: BlobFile;
}

/** Layers laid over each other. */
export interface MergedLayers {
  readonly image: Image;
  /** By the layers: what the image takes from a lower blob. */
  readonly shared: readonly SharedSize[];
}

/**
 * The image that layers make when they are laid over each other, lowest first. A chunk that several blobs hold is
 * named in the lowest of them only (docs/decisions/012-chunks-across-layers.md).
 *
 * @throws {CodedError} ERR_LAYER_INVALID.
 */
export function mergeLayers(
  layers: readonly MergeableLayer[],
  options: Pick<CheckedConvertOptions, "chunkSize" | "compressor" | "digester"> & {
    readonly prefetch: readonly ByteString[];
  },
): MergedLayers {
  const tree = new LayeredTree();
  const blobs: Blob[] = [];
  const sharedChunks = new SharedChunks();
  const shared: SharedSize[] = [];
  for (const { entries, file } of layers) {
    const { blob } = file;
    // Readers refuse a blob that is listed twice, and two layers may be the same bytes.
    let blobIndex = blobs.findIndex(({ id }) => id === blob?.id);
    if (blob !== undefined && blobIndex === -1) blobIndex = blobs.push(blob) - 1;
    const chunks = sharedChunks.layer(blobIndex);
    tree.applyLayer(placed(entries, chunks));
    shared.push(chunks.shared);
  }
  const { chunkSize, compressor, digester, prefetch } = options;
  return { image: { root: tree.build(), blobs, chunkSize, compressor, digester, prefetch }, shared };
}

function* placed(entries: Iterable<LayerEntry>, chunks: LayerChunks): Generator<LayerEntry, void, undefined> {
  for (const entry of entries) {
    const hasChunks = entry.type === "file" && entry.chunks.length > 0;
    yield hasChunks ? { ...entry, chunks: entry.chunks.map((chunk) => chunks.place(chunk)) } : entry;
  }
}
