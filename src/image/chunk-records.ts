import { equalBytes } from "../base/bytes.ts";
import { CodedError } from "../base/errors.ts";
import { CHUNK_RECORD_FLAGS, type ChunkRecord } from "../format/rafs/chunk-record.ts";
import type { BlobNumbering } from "./blob-numbering.ts";
import { BOOTSTRAP_LIMITS } from "./bootstrap-limits.ts";
import type { Chunk } from "./chunk.ts";
import type { TreePlan } from "./tree-plan.ts";

/**
 * One record for every chunk of the tree, sorted by digest, then blob.
 *
 * The file offset is that of the last file with the chunk, in the order of the plan's names, as nydus leaves it.
 *
 * @throws {CodedError} ERR_IMAGE_INVALID for a chunk without digest or stored place, or described in two ways.
 */
export function chunkRecords(plan: TreePlan, numbering: BlobNumbering, chunkSize: number): ChunkRecord[] {
  const found = new Map<number, { readonly chunk: Chunk; fileOffset: number }>();
  for (const { inode } of plan.names) {
    if (inode.type !== "file") continue;
    inode.chunks.forEach((chunk, k) => {
      const key = chunk.blobIndex * BOOTSTRAP_LIMITS.chunksPerBlob + chunk.index;
      const known = found.get(key);
      if (known === undefined) {
        found.set(key, { chunk, fileOffset: k * chunkSize });
      } else {
        checkSame(known.chunk, chunk);
        known.fileOffset = k * chunkSize;
      }
    });
  }
  const records = Array.from(found.values(), ({ chunk, fileOffset }) =>
    recordOf(chunk, numbering.indexes[chunk.blobIndex] ?? -1, fileOffset),
  );
  // Digests are spread evenly: six bytes as one number decide nearly every comparison.
  return records
    .map((record) => ({ record, prefix: prefixOf(record.digest) }))
    .sort((left, right) => left.prefix - right.prefix || compareRecords(left.record, right.record))
    .map(({ record }) => record);
}

function prefixOf(digest: Uint8Array): number {
  let prefix = 0;
  for (let at = 0; at < 6; at++) prefix = prefix * 256 + (digest[at] ?? 0);
  return prefix;
}

function recordOf(chunk: Chunk, blobIndex: number, fileOffset: number): ChunkRecord {
  const { digest, storedOffset, storedSize, decodedSize, crc32c } = chunk;
  if (digest?.length !== 32 || storedOffset === undefined || storedSize === undefined) {
    throw invalid(chunk, "has no digest or no stored place");
  }
  const compressed = storedSize === decodedSize ? 0 : CHUNK_RECORD_FLAGS.COMPRESSED;
  return {
    digest,
    blobIndex,
    flags: compressed | (crc32c === undefined ? 0 : CHUNK_RECORD_FLAGS.HAS_CRC32C),
    storedSize,
    decodedSize,
    storedOffset,
    decodedOffset: chunk.decodedOffset,
    fileOffset,
    index: chunk.index,
    crc32c: crc32c ?? 0,
  };
}

function checkSame(known: Chunk, chunk: Chunk): void {
  if (known === chunk) return;
  const isSame =
    known.decodedOffset === chunk.decodedOffset &&
    known.decodedSize === chunk.decodedSize &&
    known.digest !== undefined &&
    chunk.digest !== undefined &&
    equalBytes(known.digest, chunk.digest);
  if (!isSame) throw invalid(chunk, "is described in two ways");
}

function compareRecords(left: ChunkRecord, right: ChunkRecord): number {
  for (let at = 0; at < 32; at++) {
    const difference = (left.digest[at] ?? 0) - (right.digest[at] ?? 0);
    if (difference !== 0) return difference;
  }
  return left.blobIndex - right.blobIndex || left.index - right.index;
}

function invalid(chunk: Chunk, what: string): CodedError {
  return new CodedError("ERR_IMAGE_INVALID", `chunk ${chunk.index} of blob ${chunk.blobIndex} ${what}`);
}
