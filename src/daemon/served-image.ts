import type { CachedBlob } from "../store/cached-blob.ts";
import type { SourceCounts } from "../store/decoded-source.ts";
import type { ImageBlobs } from "./shared-blobs.ts";

/** An image that a node can serve. Where its chunks come from is its own affair. */
export interface ServedImage extends AsyncDisposable {
  /** As the user wrote it. */
  readonly name: string;
  /** sha256 of the bootstrap as it is stored, in hex. */
  readonly bootstrapDigest: string;
  /** A v6 bootstrap in a SharedArrayBuffer. */
  readonly bootstrap: Uint8Array;
  /** Whether the bootstrap says where chunks really lie, so that the kernel can read by it: not when it was rewritten. */
  readonly hasChunksInPlace: boolean;
  /** Ids of the blobs, by row of the blob table of `bootstrap`. */
  readonly blobIds: readonly string[];
  readonly blobs: ImageBlobs;
  /** What was fetched from its source. */
  readonly counts: Readonly<SourceCounts>;
  /** Keeps what a later daemon needs to serve the image without a network, under a number. */
  keep(number: number): Promise<void>;
  /** Takes that away again. */
  forget(number: number): Promise<void>;
  /** Fetches chunks in the background; returns when that is done. */
  prefetch(kind: "none" | "hints" | "all", signal: AbortSignal): Promise<void>;
}

/** Whether a cache file may be handed to the kernel as it is: a record says that all of it was verified. */
export async function trustedCacheFile(blob: CachedBlob): Promise<string | undefined> {
  return (await blob.cache.trustVerifiedRecord()) ? blob.cache.dataPath : undefined;
}
