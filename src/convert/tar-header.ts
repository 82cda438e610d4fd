import { type ByteString, byteString } from "../base/bytes.ts";
import { CodedError } from "../base/errors.ts";

/** Bytes of a tar header, and the unit that content is padded to. */
export const TAR_BLOCK_SIZE = 512;

const NAME_FIELD = { start: 0, end: 100 };
const CHECKSUM_FIELD = { start: 148, end: 156 };
const TYPE_OFFSET = 156;
const LINK_NAME_FIELD = { start: 157, end: 257 };
const MAGIC_FIELD = { start: 257, end: 263 };
const PREFIX_FIELD = { start: 345, end: 500 };

/** The numbers of a header. */
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
    size: number("size", 124, 136),
    mtime: number("mtime", 136, 148),
    // Other types may hold anything here.
    major: isDevice ? number("device major", 329, 337) : 0,
    minor: isDevice ? number("device minor", 337, 345) : 0,
  };
}

/** The names in a header, byte by byte; extension headers may say otherwise. */
export interface TarNames {
  readonly name: ByteString;
  readonly linkname: ByteString;
}

/** Reads the names of a tar header; only POSIX headers have a prefix. */
export function decodeTarNames(header: Uint8Array): TarNames {
  const text = ({ start, end }: { readonly start: number; readonly end: number }): ByteString => {
    const nul = header.subarray(start, end).indexOf(0);
    return byteString(header, start, nul < 0 ? end : start + nul);
  };
  const isPosix = byteString(header, MAGIC_FIELD.start, MAGIC_FIELD.end) === "ustar\0";
  const prefix = isPosix ? text(PREFIX_FIELD) : "";
  const name = text(NAME_FIELD);
  return { name: prefix === "" ? name : `${prefix}/${name}`, linkname: text(LINK_NAME_FIELD) };
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

/** Digits may have spaces or NULs before them, and end at the first of those behind. */
function parseOctal(field: Uint8Array): number | undefined {
  let start = 0;
  while (start < field.length && isBlank(field[start])) start++;
  let value = 0;
  for (let index = start; index < field.length && !isBlank(field[index]); index++) {
    const digit = (field[index] ?? 0) - ZERO;
    if (digit < 0 || digit > 7) return undefined;
    value = value * 8 + digit;
  }
  return value;
}

const ZERO = 0x30;

function isBlank(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0;
}

function parseBinary(field: Uint8Array): number {
  let value = BigInt((field[0] ?? 0) & 0x7f);
  for (const byte of field.subarray(1)) value = value * 256n + BigInt(byte);
  return Number(BigInt.asIntN(field.length * 8 - 1, value));
}
