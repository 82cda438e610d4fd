import { ImageBlobs, type SharedBlobs } from "../daemon/shared-blobs.ts";
import { CachedBlobs } from "../store/cached-blobs.ts";
import { DecodedSource } from "../store/decoded-source.ts";
import { retry } from "../store/retry.ts";
import type { NydusImage } from "./nydus-image.ts";

/** The read path of one image. */
export interface ReadPath {
  /** What a mount reads through. */
  readonly blobs: CachedBlobs;
  /** Where chunks come from that the cache lacks; counts what it was asked for. */
  readonly network: DecodedSource;
}

/**
 * The read path, outermost first: single flight and the cache on disk, retries, and the place that has the blobs.
 * Bytes are verified where they are decoded, before anything else sees or keeps them.
 *
 * @param blobRows For each row that a reader names, the row in the blob table of the image.
 */
export function composeSource(
  image: NydusImage,
  cacheDirectory: string,
  blobRows: readonly number[],
): ReadPath {
  const network = new DecodedSource(image.source);
  const blobs = new CachedBlobs({
    load: (row, options) => image.loadBlob(blobRows[row] ?? row, options),
    source: retry(network),
    directory: cacheDirectory,
  });
  return { blobs, network };
}

/** The read path of one image of a node: as {@link composeSource}, over blobs that all images of the node share. */
export function composeNodeSource(
  image: NydusImage,
  shared: SharedBlobs,
  blobRows: readonly number[],
): { readonly blobs: ImageBlobs; readonly network: DecodedSource } {
  const network = new DecodedSource(image.source);
  const blobs = new ImageBlobs(shared, {
    load: (row, options) => image.loadBlob(blobRows[row] ?? row, options),
    source: retry(network),
  });
  return { blobs, network };
}
