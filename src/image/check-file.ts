import { alignUp } from "../base/bytes.ts";
import {
  CHUNK_INDEX_ALIGNMENT,
  CHUNK_INDEX_SIZE,
  type ChunkIndex,
  decodeChunkIndex,
  NULL_START_BLOCK,
} from "../format/erofs/chunk-index.ts";
import { CHUNK_FORMAT_INDEXES, type ErofsInode } from "../format/erofs/inode.ts";
import type { ChunkRecordCheck } from "./check-chunk-records.ts";
import type { CheckContext } from "./check-context.ts";
import { type Place, pathOf } from "./finding.ts";

/** Bits of a chunked inode's `union`: the low five are log2 of blocks per chunk. */
const CHUNK_BITS_MASK = 0x1f;

/** Bytes of a regular file's chunk array, with the padding in front of it. */
export function chunkArraySpan(
  { extended }: CheckContext,
  inode: ErofsInode,
  bodyOffset: number,
): { readonly start: number; readonly count: number; readonly size: number } {
  const start = alignUp(bodyOffset, CHUNK_INDEX_ALIGNMENT);
  const count = Math.ceil(inode.size / extended.chunkSize);
  return { start, count, size: start - bodyOffset + count * CHUNK_INDEX_SIZE };
}

/** Checks the chunk array of a regular file, which lies inside the image, and every chunk it names. */
export function checkFile(
  context: CheckContext,
  records: ChunkRecordCheck,
  inode: ErofsInode,
  bodyOffset: number,
  place: Place,
): void {
  const { extended, view, blobs, blockSize, findings } = context;
  const { start, count } = chunkArraySpan(context, inode, bodyOffset);
  const { chunkSize } = extended;
  const isExtent = checkChunkFormat(context, inode, place);
  let previous: ChunkIndex | undefined;
  for (let k = 0; k < count && !findings.isFull; k++) {
    const index = decodeChunkIndex(view, start + k * CHUNK_INDEX_SIZE);
    const where = (): string => pathOf(place);
    const isNext =
      previous === undefined ||
      (index.blobIndex === previous.blobIndex &&
        index.startBlock === previous.startBlock + chunkSize / blockSize);
    if (isExtent && !isNext) {
      findings.add("chunk-extent-broken", where(), `chunk ${k} does not follow the one before it`);
    }
    previous = index;
    if (index.startBlock === NULL_START_BLOCK) {
      findings.add("chunk-hole", where(), `chunk ${k} is a hole, which nydus does not read`);
      continue;
    }
    const blob = blobs[index.blobIndex];
    if (blob === undefined) {
      findings.add(
        "chunk-blob-invalid",
        where(),
        `chunk ${k} is in blob ${index.blobIndex} of ${blobs.length}`,
      );
      continue;
    }
    if (index.chunkIndex >= blob.chunkCount) {
      const what = `chunk ${k} is chunk ${index.chunkIndex} of ${blob.chunkCount} of blob ${index.blobIndex}`;
      findings.add("chunk-index-invalid", where(), what);
      continue;
    }
    const decodedSize = Math.min(chunkSize, inode.size - k * chunkSize);
    const decodedOffset = index.startBlock * blockSize;
    if (decodedOffset + decodedSize > alignUp(blob.decodedSize, blockSize)) {
      const what = `chunk ${k} ends at ${decodedOffset + decodedSize} of ${blob.decodedSize}`;
      findings.add("chunk-outside-blob", where(), `${what} decoded bytes of blob ${index.blobIndex}`);
    }
    const { blobIndex, chunkIndex } = index;
    records.reference({ blobIndex, chunkIndex, decodedOffset, decodedSize }, place);
  }
}

/**
 * Checks the chunk format word, which the kernel goes by and nydusd ignores.
 *
 * @returns True when it makes the whole file one extent, of which the kernel reads the first index only.
 */
function checkChunkFormat(context: CheckContext, inode: ErofsInode, place: Place): boolean {
  const { extended, blockSize, findings } = context;
  const shown = `chunk format 0x${inode.union.toString(16)}`;
  const isKnown = (inode.union & ~(CHUNK_FORMAT_INDEXES | CHUNK_BITS_MASK)) === 0;
  if (!isKnown || (inode.union & CHUNK_FORMAT_INDEXES) === 0) {
    findings.add("chunk-format-invalid", pathOf(place), `${shown} is not of chunk indexes`);
    return false;
  }
  if (inode.size === 0) return false;
  const extentSize = blockSize * 2 ** (inode.union & CHUNK_BITS_MASK);
  if (extentSize === extended.chunkSize) return false;
  if (extentSize > extended.chunkSize && extentSize >= inode.size) return true;
  const what = `${shown} means chunks of ${extentSize} bytes, the image has ${extended.chunkSize}`;
  findings.add("chunk-format-invalid", pathOf(place), what);
  return false;
}
