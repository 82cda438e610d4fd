import type { ChunkTable } from "../format/blob/chunk-table.ts";
import type { Chunk } from "./chunk.ts";
import { type Image, listTree } from "./tree.ts";

/** Bytes of a digest. */
const DIGEST_LENGTH = 32;

/** The chunks that files of an image use, each once, by blob index. */
export function chunksByBlob(image: Image): Chunk[][] {
  const chunks: Chunk[][] = image.blobs.map(() => []);
  const seen = image.blobs.map(() => new Set<number>());
  for (const { inode } of listTree(image.root)) {
    if (inode.type !== "file") continue;
    for (const chunk of inode.chunks) {
      const known = seen[chunk.blobIndex];
      if (known === undefined || known.has(chunk.index)) continue;
      known.add(chunk.index);
      chunks[chunk.blobIndex]?.push(chunk);
    }
  }
  return chunks;
}

/**
 * The digests of chunks in index order, 32 bytes each, for a table of `count`; 32 zero bytes for a chunk
 * that is not among them, or has none. `undefined` when none has one.
 */
export function digestsOfChunks(chunks: readonly Chunk[], count: number): Uint8Array | undefined {
  const digests = new Uint8Array(count * DIGEST_LENGTH);
  let isKnown = false;
  for (const { index, digest } of chunks) {
    if (digest === undefined || index >= count) continue;
    digests.set(digest, index * DIGEST_LENGTH);
    isKnown = true;
  }
  return isKnown ? digests : undefined;
}

/** Where a bootstrap and the chunk information of a blob say different things of a chunk, for messages. */
export function* chunkTableDifferences(
  chunks: readonly Chunk[],
  table: ChunkTable,
): Generator<string, void, void> {
  for (const chunk of chunks) {
    const { index } = chunk;
    if (index >= table.count) {
      yield `chunk ${index} is not one of the ${table.count} of the chunk information`;
      continue;
    }
    // The bootstrap may not record where a chunk is stored; then only the chunk information knows.
    const fields = [
      ["decoded offset", chunk.decodedOffset, table.decodedOffsets[index]],
      ["decoded size", chunk.decodedSize, table.decodedSizes[index]],
      ["stored offset", chunk.storedOffset, table.storedOffsets[index]],
      ["stored size", chunk.storedSize, table.storedSizes[index]],
      ["CRC-32C", table.crc32cOf(index) === undefined ? undefined : chunk.crc32c, table.crc32cOf(index)],
    ] as const;
    for (const [name, inBootstrap, inTable] of fields) {
      if (inBootstrap !== undefined && inBootstrap !== inTable) {
        yield `chunk ${index} has ${name} ${inBootstrap} in the bootstrap, ${inTable} in the chunk information`;
      }
    }
  }
}
