import type { ByteString } from "../base/bytes.ts";
import type { Blob } from "../image/chunk.ts";
import type { LayerEntry } from "../image/layer-entry.ts";
import { LayeredTree } from "../image/overlay.ts";
import type { Image } from "../image/tree.ts";
import type { BlobFile } from "./blob-writer.ts";
import type { CheckedConvertOptions } from "./convert-options.ts";

/** What merging needs of a layer. */
export interface MergeableLayer {
  /** With chunks of blob 0. */
  readonly entries: Iterable<LayerEntry>;
  readonly file: BlobFile;
}

/**
 * The image that layers make when they are laid over each other, lowest first.
 *
 * @throws {CodedError} ERR_LAYER_INVALID.
 */
export function mergeLayers(
  layers: readonly MergeableLayer[],
  options: Pick<CheckedConvertOptions, "chunkSize" | "compressor" | "digester"> & {
    readonly prefetch: readonly ByteString[];
  },
): Image {
  const tree = new LayeredTree();
  const blobs: Blob[] = [];
  for (const { entries, file } of layers) {
    const { blob } = file;
    if (blob === undefined) {
      tree.applyLayer(entries);
      continue;
    }
    // Readers refuse a blob that is listed twice, and two layers may be the same bytes.
    let blobIndex = blobs.findIndex(({ id }) => id === blob.id);
    if (blobIndex === -1) blobIndex = blobs.push(blob) - 1;
    tree.applyLayer(inBlob(entries, blobIndex));
  }
  const { chunkSize, compressor, digester, prefetch } = options;
  return { root: tree.build(), blobs, chunkSize, compressor, digester, prefetch };
}

function* inBlob(entries: Iterable<LayerEntry>, blobIndex: number): Generator<LayerEntry, void, undefined> {
  for (const entry of entries) {
    const isMoved = blobIndex !== 0 && entry.type === "file" && entry.chunks.length > 0;
    yield isMoved ? { ...entry, chunks: entry.chunks.map((chunk) => ({ ...chunk, blobIndex })) } : entry;
  }
}
