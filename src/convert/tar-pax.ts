import { type ByteString, byteString } from "../base/bytes.ts";
import { CodedError } from "../base/errors.ts";
import type { Timestamp } from "../image/tree.ts";
import { MAX_PAX_RECORDS } from "./tar-limits.ts";

/** One record of a pax header, both sides as bytes. */
export interface PaxRecord {
  readonly key: ByteString;
  readonly value: Uint8Array;
}

/**
 * Reads the records of a pax header: `LENGTH KEY=VALUE\n`. Values may hold any bytes.
 *
 * @returns Records in order, their values views of `bytes`; GNU's sparse format 0.0 repeats keys.
 * @throws {CodedError} ERR_LAYER_INVALID for anything else, ERR_LIMIT_EXCEEDED for too many.
 * @see POSIX pax, "pax Extended Header"
 */
export function parsePaxRecords(bytes: Uint8Array): PaxRecord[] {
  const records: PaxRecord[] = [];
  let start = 0;
  while (start < bytes.length) {
    // Some writers pad with zeros instead of stating the exact size.
    if (bytes[start] === 0 && bytes.subarray(start).every((byte) => byte === 0)) break;
    const space = bytes.indexOf(0x20, start);
    const digits = byteString(bytes, start, Math.min(Math.max(space, start), start + 8));
    const end = start + Number(digits);
    const equals = bytes.indexOf(0x3d, space);
    if (space < 0 || !/^\d{1,7}$/.test(digits) || end > bytes.length || bytes[end - 1] !== 0x0a) {
      throw new CodedError(
        "ERR_LAYER_INVALID",
        `pax record at byte ${start} of its header has no valid length`,
      );
    }
    if (equals <= space + 1 || equals >= end) {
      throw new CodedError("ERR_LAYER_INVALID", `pax record at byte ${start} of its header has no key`);
    }
    if (records.length === MAX_PAX_RECORDS) {
      throw new CodedError("ERR_LIMIT_EXCEEDED", `pax header has more than ${MAX_PAX_RECORDS} records`);
    }
    records.push({ key: byteString(bytes, space + 1, equals), value: bytes.subarray(equals + 1, end - 1) });
    start = end;
  }
  return records;
}

/**
 * A pax value as a non-negative integer.
 *
 * @throws {CodedError} ERR_LAYER_INVALID when it is none.
 */
export function parsePaxInteger(key: string, value: Uint8Array): number {
  const text = byteString(value.subarray(0, 32));
  const number = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(number)) {
    throw new CodedError("ERR_LAYER_INVALID", `pax ${key} is ${JSON.stringify(text)}, not an integer`);
  }
  return number;
}

/**
 * A pax value as a time: decimal seconds, perhaps negative, digits beyond nanoseconds cut off.
 *
 * @throws {CodedError} ERR_LAYER_INVALID when it is none.
 */
export function parsePaxTime(key: string, value: Uint8Array): Timestamp {
  const text = byteString(value.subarray(0, 64));
  const match = /^(-?)(\d{1,15})(?:\.(\d*))?$/.exec(text);
  if (match === null) {
    throw new CodedError("ERR_LAYER_INVALID", `pax ${key} is ${JSON.stringify(text)}, not a time`);
  }
  const seconds = Number(match[2]);
  const nanoseconds = Number((match[3] ?? "").slice(0, 9).padEnd(9, "0"));
  if (match[1] === "") return { seconds, nanoseconds };
  // Nanoseconds count forward: -1.25 is 0.75 after -2.
  return nanoseconds === 0
    ? { seconds: seconds === 0 ? 0 : -seconds, nanoseconds }
    : { seconds: -seconds - 1, nanoseconds: 1e9 - nanoseconds };
}
