import type { ChunkWorkers } from "../codec/chunk-workers.ts";
import { ImageBlobs, type SharedBlobs } from "../daemon/shared-blobs.ts";
import { CachedBlobs } from "../store/cached-blobs.ts";
import { DecodedSource } from "../store/decoded-source.ts";
import { hedgedBlobs } from "../store/hedged-blobs.ts";
import { RequestSlots } from "../store/request-slots.ts";
import { tracedBlobs, tracedChunks } from "../store/traced.ts";
import type { NydusImage } from "./nydus-image.ts";

/** The read path of one image. */
export interface ReadPath {
  /** What a mount reads through. */
  readonly blobs: CachedBlobs;
  /** Where chunks come from that the cache lacks; counts what it was asked for. */
  readonly network: DecodedSource;
}

/**
 * The read path, outermost first: single flight and the cache on disk, and the place that has the blobs, which alone
 * tries again what failed. Bytes are verified where they are decoded, before anything else sees or keeps them. Threads
 * decode, digest and write them: this one only schedules.
 *
 * @param blobRows For each row that a reader names, the row in the blob table of the image.
 */
export function composeSource(
  image: NydusImage,
  cacheDirectory: string,
  blobRows: readonly number[],
  workers: ChunkWorkers,
): ReadPath {
  const network = networkOf(image, workers, new RequestSlots());
  const blobs = new CachedBlobs({
    load: (row, options) => image.loadBlob(blobRows[row] ?? row, options),
    source: network,
    directory: cacheDirectory,
  });
  return { blobs, network };
}

/** The read path of one image of a node: as {@link composeSource}, over blobs that all images of the node share. */
export function composeNodeSource(
  image: NydusImage,
  shared: SharedBlobs,
  blobRows: readonly number[],
  workers: ChunkWorkers,
): { readonly blobs: ImageBlobs; readonly network: DecodedSource } {
  const network = networkOf(image, workers, shared.slots);
  const blobs = new ImageBlobs(shared, {
    load: (row, options) => image.loadBlob(blobRows[row] ?? row, options),
    source: tracedChunks(network),
  });
  return { blobs, network };
}

function networkOf(image: NydusImage, threads: ChunkWorkers, slots: RequestSlots): DecodedSource {
  return new DecodedSource(hedgedBlobs(tracedBlobs(image.source)), { threads, slots });
}
