import { byteString } from "../base/bytes.ts";
import { CodedError } from "../base/errors.ts";

/** Bytes of a tar header, and the unit that content is padded to. */
export const TAR_BLOCK_SIZE = 512;

const SIZE_FIELD = { start: 124, end: 136 };
const CHECKSUM_FIELD = { start: 148, end: 156 };
const TYPE_OFFSET = 156;

/** The numbers of a header, as tar-stream does not read them: any base-256 form, and never NaN. */
export interface TarHeader {
  /** The type flag as a character; "0" for regular files, whichever way they are written. */
  readonly type: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes that follow the header, if its type has any. */
  readonly size: number;
  /** Seconds since 1970. */
  readonly mtime: number;
  /** 0 unless the type is a device. */
  readonly major: number;
  readonly minor: number;
}

/** True when the header's checksum is right, summed as unsigned bytes (POSIX) or signed ones (old tars). */
export function hasTarChecksum(header: Uint8Array): boolean {
  if (header.length < TAR_BLOCK_SIZE) return false;
  const { unsigned, signed } = checksumsOf(header);
  const stored = parseOctal(header.subarray(CHECKSUM_FIELD.start, CHECKSUM_FIELD.end));
  return stored !== undefined && stored > 0 && (stored === unsigned || stored === signed);
}

/**
 * Reads the numbers of a tar header of any dialect (v7, ustar, pax, GNU, star).
 *
 * @param offset Where the header lies in the layer, for messages.
 * @throws {CodedError} ERR_LAYER_INVALID when the checksum is wrong or a number is none.
 * @see POSIX pax, "ustar Interchange Format"; GNU tar manual, "Basic Tar Format"
 */
export function decodeTarHeader(header: Uint8Array, offset: number): TarHeader {
  if (!hasTarChecksum(header)) {
    throw new CodedError("ERR_LAYER_INVALID", `tar header at byte ${offset} does not match its checksum`);
  }
  const flag = header[TYPE_OFFSET] ?? 0;
  const type = flag === 0 ? "0" : String.fromCharCode(flag);
  const number = (what: string, start: number, end: number): number =>
    decodeTarNumber(header.subarray(start, end), `${what} of the tar header at byte ${offset}`);
  const isDevice = type === "3" || type === "4";
  return {
    type,
    mode: number("mode", 100, 108),
    uid: number("uid", 108, 116),
    gid: number("gid", 116, 124),
    size: number("size", SIZE_FIELD.start, SIZE_FIELD.end),
    mtime: number("mtime", 136, 148),
    // Other types may hold anything here.
    major: isDevice ? number("device major", 329, 337) : 0,
    minor: isDevice ? number("device minor", 337, 345) : 0,
  };
}

/**
 * Reads a number field: octal digits, or base-256 (two's complement, first bit set as the mark).
 *
 * @throws {CodedError} ERR_LAYER_INVALID when it is neither, or over 2^53-1.
 */
export function decodeTarNumber(field: Uint8Array, what: string): number {
  const first = field[0] ?? 0;
  const value = (first & 0x80) === 0 ? parseOctal(field) : parseBinary(field);
  if (value === undefined || !Number.isSafeInteger(value)) {
    throw new CodedError(
      "ERR_LAYER_INVALID",
      `${what} is ${JSON.stringify(byteString(field))}, not a number`,
    );
  }
  return value;
}

/** A copy of a header as a regular file (or what `type` says) of `size` bytes, its checksum renewed. */
export function patchTarHeader(header: Uint8Array, type: string, size: number): Uint8Array {
  // Not slice(): a Buffer would share its memory, and the source would be written to.
  const copy = new Uint8Array(header);
  copy[TYPE_OFFSET] = type.charCodeAt(0);
  writeAscii(copy, SIZE_FIELD.start, "\0".repeat(12));
  if (size < 8 ** 11) writeAscii(copy, SIZE_FIELD.start, `${size.toString(8).padStart(11, "0")}`);
  else {
    new DataView(copy.buffer, copy.byteOffset).setBigUint64(SIZE_FIELD.end - 8, BigInt(size));
    copy[SIZE_FIELD.start] = 0x80;
  }
  writeAscii(copy, CHECKSUM_FIELD.start, `${checksumsOf(copy).unsigned.toString(8).padStart(6, "0")}\0 `);
  return copy;
}

function checksumsOf(header: Uint8Array): { readonly unsigned: number; readonly signed: number } {
  // The field itself counts as eight spaces.
  let unsigned = 8 * 0x20;
  let high = 0;
  for (let index = 0; index < TAR_BLOCK_SIZE; index++) {
    if (index >= CHECKSUM_FIELD.start && index < CHECKSUM_FIELD.end) continue;
    const byte = header[index] ?? 0;
    unsigned += byte;
    if (byte > 0x7f) high++;
  }
  return { unsigned, signed: unsigned - high * 0x100 };
}

function parseOctal(field: Uint8Array): number | undefined {
  const text = /^[ \0]*([^ \0]*)/.exec(byteString(field))?.[1] ?? "";
  if (text === "") return 0;
  return /^[0-7]+$/.test(text) ? Number.parseInt(text, 8) : undefined;
}

function parseBinary(field: Uint8Array): number {
  let value = BigInt((field[0] ?? 0) & 0x7f);
  for (const byte of field.subarray(1)) value = value * 256n + BigInt(byte);
  return Number(BigInt.asIntN(field.length * 8 - 1, value));
}

function writeAscii(bytes: Uint8Array, offset: number, text: string): void {
  for (let index = 0; index < text.length; index++) bytes[offset + index] = text.charCodeAt(index);
}
