import { CodedError } from "../base/errors.ts";
import type { Blob, Chunk } from "./chunk.ts";
import type { TreePlan } from "./tree-plan.ts";

/** The blobs that a tree uses, numbered anew. */
export interface BlobNumbering {
  /** In the order of their first use. */
  readonly blobs: readonly Blob[];
  /** The new number of a blob by its position in the image; -1 for one that nothing uses. */
  readonly indexes: readonly number[];
}

/**
 * Drops blobs that no chunk of the tree names, and numbers the others by first use in the order of the plan's names,
 * as `nydus-image merge` does.
 *
 * @throws {CodedError} ERR_IMAGE_INVALID when a chunk and its blob contradict each other.
 */
export function numberBlobs(plan: TreePlan, blobs: readonly Blob[]): BlobNumbering {
  const used: Blob[] = [];
  const indexes = blobs.map(() => -1);
  for (const { inode, path } of plan.names) {
    if (inode.type !== "file") continue;
    for (const chunk of inode.chunks) {
      const blob = blobs[chunk.blobIndex];
      if (blob === undefined || !isChunkOf(chunk, blob)) {
        throw new CodedError(
          "ERR_IMAGE_INVALID",
          `${JSON.stringify(path)}: chunk ${chunk.index} at ${chunk.decodedOffset} is not in blob ${chunk.blobIndex}`,
        );
      }
      if (indexes[chunk.blobIndex] === -1) indexes[chunk.blobIndex] = used.push(blob) - 1;
    }
  }
  return { blobs: used, indexes };
}

function isChunkOf(chunk: Chunk, blob: Blob): boolean {
  return (
    Number.isSafeInteger(chunk.index) &&
    chunk.index >= 0 &&
    chunk.index < blob.chunkCount &&
    chunk.decodedOffset >= 0 &&
    chunk.decodedOffset % 4096 === 0 &&
    chunk.decodedOffset + chunk.decodedSize <= blob.decodedSize
  );
}
