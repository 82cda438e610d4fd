import { DECODED_OFFSET_LIMIT, STORED_OFFSET_LIMIT } from "./chunk-information-v1.ts";
import { CHUNK_HAS_CRC32C, type ChunkTable } from "./chunk-table.ts";

/** Bytes of one row of a V2 chunk information array. */
export const CHUNK_INFORMATION_V2_SIZE = 24;

/**
 * Reads one V2 row into `table` at `index`. All flag bits are kept as they are.
 *
 * Three little-endian u64. Decoded: bits 31-0 the offset in units of 4096, bits 55-32 size - 1, bits
 * 63-56 flags. Stored: bits 39-0 the offset, bits 63-40 the size itself. Third: the low 32 bits are
 * the CRC-32C when the flags say so; batch and zran chunks use it otherwise.
 *
 * @throws {RangeError} when the row does not fit in `view`.
 * @see Nydus storage, blob meta V2
 */
export function decodeChunkInformationV2(
  view: DataView,
  offset: number,
  table: ChunkTable,
  index: number,
): void {
  const sizeAndFlags = view.getUint32(offset + 4, true);
  const storedHigh = view.getUint32(offset + 12, true);
  const flags = sizeAndFlags >>> 24;
  table.decodedOffsets[index] = view.getUint32(offset, true) * 4096;
  table.decodedSizes[index] = (sizeAndFlags & 0xffffff) + 1;
  table.storedOffsets[index] = (storedHigh & 0xff) * 2 ** 32 + view.getUint32(offset + 8, true);
  table.storedSizes[index] = storedHigh >>> 8;
  table.flags[index] = flags;
  table.crc32cs[index] = (flags & CHUNK_HAS_CRC32C) === 0 ? 0 : view.getUint32(offset + 16, true);
}

/**
 * Writes chunk `index` of `table` as a V2 row. The third word holds the CRC-32C or zero.
 *
 * @throws {RangeError} when an offset or size does not fit the form. A stored size of 16 MiB does not.
 */
export function encodeChunkInformationV2(
  view: DataView,
  offset: number,
  table: ChunkTable,
  index: number,
): void {
  const decodedOffset = table.decodedOffsets[index] ?? 0;
  const storedOffset = table.storedOffsets[index] ?? 0;
  const decodedSize = table.decodedSizes[index] ?? 0;
  const storedSize = table.storedSizes[index] ?? 0;
  if (decodedOffset >= DECODED_OFFSET_LIMIT || decodedOffset % 4096 !== 0) {
    throw new RangeError(`chunk ${index} has decoded offset ${decodedOffset}`);
  }
  if (storedOffset >= STORED_OFFSET_LIMIT) {
    throw new RangeError(`chunk ${index} has stored offset ${storedOffset}`);
  }
  if (decodedSize < 1 || decodedSize > 2 ** 24 || storedSize >= 2 ** 24) {
    throw new RangeError(`chunk ${index} has sizes ${decodedSize} and ${storedSize}`);
  }
  view.setUint32(offset, decodedOffset / 4096, true);
  view.setUint32(offset + 4, (table.flags[index] ?? 0) * 2 ** 24 + decodedSize - 1, true);
  view.setUint32(offset + 8, storedOffset % 2 ** 32, true);
  view.setUint32(offset + 12, storedSize * 2 ** 8 + Math.floor(storedOffset / 2 ** 32), true);
  view.setUint32(offset + 16, table.crc32cOf(index) ?? 0, true);
  view.setUint32(offset + 20, 0, true);
}
