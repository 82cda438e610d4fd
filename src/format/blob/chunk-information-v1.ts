import { CHUNK_COMPRESSED, type ChunkTable } from "./chunk-table.ts";

/** Bytes of one row of a V1 chunk information array. */
export const CHUNK_INFORMATION_V1_SIZE = 16;

/** Stored offsets take 40 bits in both forms of the array. */
export const STORED_OFFSET_LIMIT = 2 ** 40;
/** Decoded offsets take 44 bits in both forms of the array. */
export const DECODED_OFFSET_LIMIT = 2 ** 44;

/**
 * Reads one V1 row into `table` at `index`.
 *
 * Two little-endian u64. Decoded: bits 63-44 the low 20 bits of size - 1, bits 43-12 the offset in
 * place (its low 12 bits are zero), bits 11-8 the high 4 bits of size - 1. Stored: bits 63-44 the low
 * 20 and bits 43-40 the high 4 bits of size - 1, bits 39-0 the offset. There are no flags: a chunk is
 * compressed when its sizes differ.
 *
 * @throws {RangeError} when the row does not fit in `view`.
 * @see Nydus storage, blob meta V1
 */
export function decodeChunkInformationV1(
  view: DataView,
  offset: number,
  table: ChunkTable,
  index: number,
): void {
  const decodedLow = view.getUint32(offset, true);
  const decodedHigh = view.getUint32(offset + 4, true);
  const storedLow = view.getUint32(offset + 8, true);
  const storedHigh = view.getUint32(offset + 12, true);
  const decodedSize = ((decodedLow >>> 8) & 0xf) * 2 ** 20 + (decodedHigh >>> 12) + 1;
  const storedSize = ((storedHigh >>> 8) & 0xf) * 2 ** 20 + (storedHigh >>> 12) + 1;
  table.decodedOffsets[index] = (decodedHigh & 0xfff) * 2 ** 32 + ((decodedLow & 0xfffff000) >>> 0);
  table.decodedSizes[index] = decodedSize;
  table.storedOffsets[index] = (storedHigh & 0xff) * 2 ** 32 + storedLow;
  table.storedSizes[index] = storedSize;
  table.flags[index] = storedSize === decodedSize ? 0 : CHUNK_COMPRESSED;
}

/**
 * Writes chunk `index` of `table` as a V1 row.
 *
 * @throws {RangeError} when an offset or size does not fit the form, or when the chunk is compressed
 *   to its own size: the form cannot say so.
 */
export function encodeChunkInformationV1(
  view: DataView,
  offset: number,
  table: ChunkTable,
  index: number,
): void {
  const decodedOffset = table.decodedOffsets[index] ?? 0;
  const storedOffset = table.storedOffsets[index] ?? 0;
  const decodedSize = sizeField(index, table.decodedSizes[index]);
  const storedSize = sizeField(index, table.storedSizes[index]);
  if (decodedOffset >= DECODED_OFFSET_LIMIT || decodedOffset % 4096 !== 0) {
    throw new RangeError(`chunk ${index} has decoded offset ${decodedOffset}`);
  }
  if (storedOffset >= STORED_OFFSET_LIMIT) {
    throw new RangeError(`chunk ${index} has stored offset ${storedOffset}`);
  }
  if (table.isCompressed(index) !== (decodedSize !== storedSize)) {
    throw new RangeError(
      `chunk ${index} is ${table.isCompressed(index) ? "" : "not "}compressed against its sizes`,
    );
  }
  const decodedOffsetHigh = Math.floor(decodedOffset / 2 ** 32);
  const storedOffsetHigh = Math.floor(storedOffset / 2 ** 32);
  view.setUint32(offset, (decodedOffset % 2 ** 32) + ((decodedSize >>> 20) << 8), true);
  view.setUint32(offset + 4, ((decodedSize & 0xfffff) * 2 ** 12 + decodedOffsetHigh) >>> 0, true);
  view.setUint32(offset + 8, storedOffset % 2 ** 32, true);
  view.setUint32(
    offset + 12,
    (storedSize & 0xfffff) * 2 ** 12 + ((storedSize >>> 20) << 8) + storedOffsetHigh,
    true,
  );
}

function sizeField(index: number, size: number | undefined): number {
  if (size === undefined || size < 1 || size > 2 ** 24)
    throw new RangeError(`chunk ${index} has size ${size}`);
  return size - 1;
}
