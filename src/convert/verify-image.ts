import { CodedError } from "../base/errors.ts";
import { readBootstrap } from "../image/bootstrap-reader.ts";
import type { Blob } from "../image/chunk.ts";
import type { Directory } from "../image/tree.ts";
import type { ReadBackBlob } from "./read-back-blob.ts";
import { treeDifferences } from "./verify-tree.ts";

/**
 * Reads a written bootstrap and compares it with the tree it was written from.
 *
 * @param what Names the bootstrap in the message.
 * @param source The tree; its chunks carry the digests taken when the source was read.
 * @param blobs The blob files read again, by blob id.
 * @param blobId Id of the blob the bootstrap lies in, for the bootstrap of one layer.
 * @throws {CodedError} ERR_IMAGE_DIFFERS with the first differences, ERR_BOOTSTRAP_CORRUPT.
 */
export function verifyBootstrap(
  what: string,
  bytes: Uint8Array,
  source: Directory,
  blobs: ReadonlyMap<string, ReadBackBlob>,
  blobId?: string,
): void {
  const written = readBootstrap(bytes, blobId === undefined ? {} : { blobId });
  const differences: string[] = [];
  for (const blob of written.blobs) {
    const readBack = blobs.get(blob.id);
    const difference = readBack === undefined ? "is not there" : blobDifference(blob, readBack);
    if (difference !== undefined) differences.push(`blob ${blob.id} ${difference}`);
  }
  const readBacks = written.blobs.map(({ id }) => blobs.get(id));
  differences.push(...treeDifferences(source, { root: written.root, blobs: readBacks }));
  if (differences.length === 0) return;
  throw new CodedError(
    "ERR_IMAGE_DIFFERS",
    `${what} is not what its source says: ${differences.slice(0, 5).join("; ")}`,
  );
}

function blobDifference(blob: Blob, readBack: ReadBackBlob): string | undefined {
  if (blob.chunkCount !== readBack.table.count) {
    return `has ${readBack.table.count} chunks, the bootstrap says ${blob.chunkCount}`;
  }
  if (blob.decodedSize !== readBack.decodedSize) {
    return `decodes to ${readBack.decodedSize} bytes, the bootstrap says ${blob.decodedSize}`;
  }
  const said = blob.chunkInformation;
  const found = readBack.chunkInformation;
  const isSame =
    said !== undefined &&
    found !== undefined &&
    said.offset === found.offset &&
    said.storedSize === found.storedSize &&
    said.decodedSize === found.decodedSize &&
    said.compressor === found.compressor;
  return isSame ? undefined : "has its chunk information elsewhere than the bootstrap says";
}
