import { CodedError } from "../base/errors.ts";
import { CHUNK_COMPRESSED, CHUNK_HAS_CRC32C, ChunkTable } from "../format/blob/chunk-table.ts";
import type { Chunk } from "./chunk.ts";
import { type Image, listTree } from "./tree.ts";

/** Where the chunks of a v5 blob lie and what they must be. */
export interface V5ChunkTable {
  /** Chunks that no file uses have size 0, at the end of the chunk before. */
  readonly table: ChunkTable;
  /** 32 bytes per chunk; zero for chunks that no file uses. */
  readonly digests: Uint8Array;
}

/** How many unused chunks may stand beside the used ones: a table must not cost more than its image. */
const MAX_UNUSED_PER_USED = 64;
const MAX_UNUSED = 65_536;

/**
 * The chunk table of blob `blobIndex` of a v5 image, from the chunks of its files: a v5 blob has no
 * chunk information array.
 *
 * Chunks rise in both spaces without overlap, as in every {@link ChunkTable}.
 *
 * @throws {CodedError} ERR_BOOTSTRAP_CORRUPT when two files say different things of a chunk or chunks
 *   overlap, ERR_LIMIT_EXCEEDED when hardly any of its chunks is used.
 */
export function chunkTableOfV5(image: Image, blobIndex: number): V5ChunkTable {
  const used = new Map<number, Chunk>();
  let count = 0;
  for (const { inode } of listTree(image.root)) {
    if (inode.type !== "file") continue;
    for (const chunk of inode.chunks) {
      if (chunk.blobIndex !== blobIndex) continue;
      const known = used.get(chunk.index);
      if (known === undefined) used.set(chunk.index, chunk);
      else if (!isSameChunk(known, chunk)) throw corrupt(blobIndex, `two chunks have index ${chunk.index}`);
      count = Math.max(count, chunk.index + 1);
    }
  }
  if (count > used.size * MAX_UNUSED_PER_USED + MAX_UNUSED) {
    throw new CodedError(
      "ERR_LIMIT_EXCEEDED",
      `bootstrap: blob ${blobIndex}: ${used.size} of ${count} chunks are used`,
    );
  }
  return fillTable(used, count, blobIndex);
}

function fillTable(used: ReadonlyMap<number, Chunk>, count: number, blobIndex: number): V5ChunkTable {
  const table = new ChunkTable(count);
  const digests = new Uint8Array(count * 32);
  let storedEnd = 0;
  let decodedEnd = 0;
  for (let index = 0; index < count; index++) {
    const chunk = used.get(index);
    const {
      storedOffset = storedEnd,
      storedSize = 0,
      decodedOffset = decodedEnd,
      decodedSize = 0,
    } = chunk ?? {};
    if (storedOffset < storedEnd || decodedOffset < decodedEnd) {
      throw corrupt(blobIndex, `chunk ${index} starts before the one in front of it ends`);
    }
    table.storedOffsets[index] = storedOffset;
    table.storedSizes[index] = storedSize;
    table.decodedOffsets[index] = decodedOffset;
    table.decodedSizes[index] = decodedSize;
    table.crc32cs[index] = chunk?.crc32c ?? 0;
    // The compressed form is kept only where it is smaller, so the sizes tell.
    table.flags[index] =
      (storedSize === decodedSize ? 0 : CHUNK_COMPRESSED) |
      (chunk?.crc32c === undefined ? 0 : CHUNK_HAS_CRC32C);
    if (chunk?.digest !== undefined) digests.set(chunk.digest, index * 32);
    storedEnd = storedOffset + storedSize;
    decodedEnd = decodedOffset + decodedSize;
  }
  return { table, digests };
}

function isSameChunk(left: Chunk, right: Chunk): boolean {
  return (
    left.storedOffset === right.storedOffset &&
    left.storedSize === right.storedSize &&
    left.decodedOffset === right.decodedOffset &&
    left.decodedSize === right.decodedSize
  );
}

function corrupt(blobIndex: number, what: string): CodedError {
  return new CodedError("ERR_BOOTSTRAP_CORRUPT", `bootstrap: blob ${blobIndex}: ${what}`);
}
