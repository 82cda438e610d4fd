import { addon } from "../native/addon.ts";

/** CRC-32C (Castagnoli) polynomial, bit-reversed. */
const POLYNOMIAL = 0x82f63b78;
const SLICES = 8;

/** Row k maps a byte to its share of the sum when k more bytes follow it in the same step. */
function buildTables(): readonly Uint32Array[] {
  const tables = Array.from({ length: SLICES }, () => new Uint32Array(256));
  const first = tables[0] as Uint32Array;
  for (let byte = 0; byte < 256; byte++) {
    let value = byte;
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ POLYNOMIAL : value >>> 1;
    first[byte] = value;
  }
  for (let slice = 1; slice < SLICES; slice++) {
    const previous = tables[slice - 1] as Uint32Array;
    const table = tables[slice] as Uint32Array;
    for (let byte = 0; byte < 256; byte++) {
      const value = previous[byte] as number;
      table[byte] = (value >>> 8) ^ (first[value & 0xff] as number);
    }
  }
  return tables;
}

const [T0, T1, T2, T3, T4, T5, T6, T7] = buildTables() as unknown as [
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
];

/**
 * CRC-32C of `bytes`, as chunk records carry it: an unsigned 32-bit number.
 *
 * @see RFC 3720, appendix B.4, for test vectors
 */
export function crc32c(bytes: Uint8Array): number {
  const isal = addon()?.isal();
  return isal === undefined ? crc32cByTables(bytes) : isal.crc32c(bytes);
}

/** {@link crc32c} without the addon. */
export function crc32cByTables(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  let offset = 0;
  // Eight bytes a step: a byte at a time would be slower than decompressing the chunk.
  for (const end = bytes.length - 7; offset < end; offset += 8) {
    const low =
      crc ^
      ((bytes[offset] as number) |
        ((bytes[offset + 1] as number) << 8) |
        ((bytes[offset + 2] as number) << 16) |
        ((bytes[offset + 3] as number) << 24));
    crc =
      (T7[low & 0xff] as number) ^
      (T6[(low >>> 8) & 0xff] as number) ^
      (T5[(low >>> 16) & 0xff] as number) ^
      (T4[low >>> 24] as number) ^
      (T3[bytes[offset + 4] as number] as number) ^
      (T2[bytes[offset + 5] as number] as number) ^
      (T1[bytes[offset + 6] as number] as number) ^
      (T0[bytes[offset + 7] as number] as number);
  }
  for (; offset < bytes.length; offset++) {
    crc = (T0[(crc ^ (bytes[offset] as number)) & 0xff] as number) ^ (crc >>> 8);
  }
  return (crc ^ 0xffffffff) >>> 0;
}
