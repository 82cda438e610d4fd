import { crc32 as zlibCrc32 } from "node:zlib";
import { addon } from "../native/addon.ts";

/**
 * CRC-32, as gzip has it, of the bytes that had the sum `previous` and of `bytes` behind them.
 *
 * @returns An unsigned 32-bit number.
 */
export function crc32(bytes: Uint8Array, previous = 0): number {
  const isal = addon()?.isal();
  return isal === undefined ? zlibCrc32(bytes, previous) : isal.crc32(bytes, previous);
}
