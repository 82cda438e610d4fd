import type { ChunkWorkers } from "../codec/chunk-workers.ts";
import { CachedBlobs } from "../store/cached-blobs.ts";
import { DecodedSource } from "../store/decoded-source.ts";
import { hedgedBlobs } from "../store/hedged-blobs.ts";
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
  const network = new DecodedSource(hedgedBlobs(image.source), { threads: workers });
  const blobs = new CachedBlobs({
    load: (row, options) => image.loadBlob(blobRows[row] ?? row, options),
    source: network,
    directory: cacheDirectory,
  });
  return { blobs, network };
}
