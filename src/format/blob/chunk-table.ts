/** Flag bits of a chunk, as the chunk information array (V2) and the chunk records store them. */
export const CHUNK_COMPRESSED = 1;
/** Only in the chunk information array: the chunk is cut out of an inflated gzip slice. */
export const CHUNK_ZRAN = 2;
/** Only in the chunk information array: the chunk is a member of a batch. */
export const CHUNK_BATCH = 4;
/** Only in the chunk information array: the stored bytes are encrypted. */
export const CHUNK_ENCRYPTED = 8;
/** The record carries a CRC-32C of the decoded bytes. */
export const CHUNK_HAS_CRC32C = 0x10;

/** Most decoded bytes of one chunk. */
export const MAX_CHUNK_SIZE = 2 ** 24;
/** Most chunks of one blob: an index takes 24 bits on disk. */
export const MAX_CHUNK_COUNT = 2 ** 24;
/** Chunks start at multiples of this in the decoded space of a RAFS v6 blob. */
export const DECODED_ALIGNMENT = 4096;

/**
 * Where the chunks of one blob lie, by chunk index. Offsets and sizes are bytes.
 *
 * Chunks are in rising order in both spaces, so decoded positions can be searched.
 */
export class ChunkTable {
  readonly count: number;
  readonly storedOffsets: Float64Array;
  readonly storedSizes: Uint32Array;
  readonly decodedOffsets: Float64Array;
  readonly decodedSizes: Uint32Array;
  /** Bits such as {@link CHUNK_COMPRESSED}. */
  readonly flags: Uint8Array;
  /** CRC-32C of the decoded bytes; counts only where {@link CHUNK_HAS_CRC32C} is set. */
  readonly crc32cs: Uint32Array;

  constructor(count: number) {
    this.count = count;
    this.storedOffsets = new Float64Array(count);
    this.storedSizes = new Uint32Array(count);
    this.decodedOffsets = new Float64Array(count);
    this.decodedSizes = new Uint32Array(count);
    this.flags = new Uint8Array(count);
    this.crc32cs = new Uint32Array(count);
  }

  /** True when the stored bytes of the chunk are compressed. */
  isCompressed(index: number): boolean {
    return ((this.flags[index] ?? 0) & CHUNK_COMPRESSED) !== 0;
  }

  /** CRC-32C of the decoded bytes, where recorded. */
  crc32cOf(index: number): number | undefined {
    return ((this.flags[index] ?? 0) & CHUNK_HAS_CRC32C) === 0 ? undefined : this.crc32cs[index];
  }
}

/**
 * The chunk whose decoded bytes include `decodedOffset`; absent in the padding between chunks and
 * behind the last one.
 *
 * @returns A chunk index.
 */
export function findChunk(table: ChunkTable, decodedOffset: number): number | undefined {
  let low = 0;
  let high = table.count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((table.decodedOffsets[middle] ?? 0) <= decodedOffset) low = middle + 1;
    else high = middle;
  }
  const index = low - 1;
  if (index < 0) return undefined;
  const end = (table.decodedOffsets[index] ?? 0) + (table.decodedSizes[index] ?? 0);
  return decodedOffset < end ? index : undefined;
}
