import { byteString, bytesOf, equalBytes } from "../../base/bytes.ts";
import { CodedError } from "../../base/errors.ts";

/** Bytes of a tar trailer: one tar header. */
export const TAR_TRAILER_SIZE = 512;

/** Names one section of a blob file. Unlike in a tar archive it *follows* the bytes it describes. */
export interface TarTrailer {
  readonly name: string;
  /** Bytes of the section in front of the trailer, which are not padded. */
  readonly size: number;
}

const MAGIC = bytesOf("ustar  \0");
const MAGIC_OFFSET = 257;
const NAME_SIZE = 100;
const SIZE_OFFSET = 124;
const MTIME_OFFSET = 136;
const CHECKSUM_OFFSET = 148;
const TYPE_OFFSET = 156;
const TYPE_REGULAR = 0x30;
/** From here on eleven octal digits do not suffice and GNU's binary form is used. */
const OCTAL_SIZE_LIMIT = 8 ** 11;

/**
 * True when `bytes` start with something that says it is a tar trailer: GNU magic and type *file*.
 * The checksum is {@link decodeTarTrailer}'s to judge.
 */
export function looksLikeTarTrailer(bytes: Uint8Array): boolean {
  return (
    bytes.length >= TAR_TRAILER_SIZE &&
    bytes[TYPE_OFFSET] === TYPE_REGULAR &&
    equalBytes(bytes.subarray(MAGIC_OFFSET, MAGIC_OFFSET + MAGIC.length), MAGIC)
  );
}

/**
 * Reads the 512 bytes of a tar trailer.
 *
 * @throws {CodedError} ERR_BLOB_CORRUPT when magic, type, checksum or size are not a trailer's.
 * @see GNU tar, struct posix_header with OLDGNU_MAGIC
 */
export function decodeTarTrailer(bytes: Uint8Array): TarTrailer {
  if (!looksLikeTarTrailer(bytes)) {
    throw new CodedError("ERR_BLOB_CORRUPT", "tar trailer has no GNU magic or is not of a file");
  }
  const recorded = decodeOctal(bytes, CHECKSUM_OFFSET, 8);
  const actual = checksum(bytes);
  if (recorded !== actual) {
    throw new CodedError("ERR_BLOB_CORRUPT", `tar trailer has checksum ${recorded}, its bytes ${actual}`);
  }
  const nameEnd = bytes.subarray(0, NAME_SIZE).indexOf(0);
  const size = decodeSize(bytes);
  if (size === undefined || !Number.isSafeInteger(size)) {
    throw new CodedError("ERR_BLOB_CORRUPT", "tar trailer has an invalid size");
  }
  return { name: byteString(bytes, 0, nameEnd === -1 ? NAME_SIZE : nameEnd), size };
}

/** The 512 bytes of a tar trailer; owner, mode and time are zero. */
export function encodeTarTrailer(trailer: TarTrailer): Uint8Array {
  const name = bytesOf(trailer.name);
  if (name.length >= NAME_SIZE) throw new RangeError(`tar trailer name has ${name.length} bytes`);
  const bytes = new Uint8Array(TAR_TRAILER_SIZE);
  bytes.set(name);
  encodeSize(bytes, trailer.size);
  bytes.set(bytesOf("00000000000"), MTIME_OFFSET);
  bytes[TYPE_OFFSET] = TYPE_REGULAR;
  bytes.set(MAGIC, MAGIC_OFFSET);
  bytes.set(bytesOf(checksum(bytes).toString(8).padStart(7, "0")), CHECKSUM_OFFSET);
  return bytes;
}

/** Sum of all bytes, the checksum field counted as spaces. */
function checksum(bytes: Uint8Array): number {
  let sum = 8 * 0x20;
  for (let index = 0; index < TAR_TRAILER_SIZE; index++) {
    if (index < CHECKSUM_OFFSET || index >= CHECKSUM_OFFSET + 8) sum += bytes[index] ?? 0;
  }
  return sum;
}

function decodeOctal(bytes: Uint8Array, offset: number, length: number): number | undefined {
  const match = /^ *([0-7]{1,12})[ \0]*$/.exec(byteString(bytes, offset, offset + length));
  return match === null ? undefined : Number.parseInt(match[1] ?? "", 8);
}

function decodeSize(bytes: Uint8Array): number | undefined {
  if (bytes[SIZE_OFFSET] !== 0x80) return decodeOctal(bytes, SIZE_OFFSET, 12);
  let size = 0;
  for (const byte of bytes.subarray(SIZE_OFFSET + 1, SIZE_OFFSET + 12)) size = size * 256 + byte;
  return size;
}

function encodeSize(bytes: Uint8Array, size: number): void {
  if (!Number.isSafeInteger(size) || size < 0) throw new RangeError(`tar trailer size is ${size}`);
  if (size < OCTAL_SIZE_LIMIT) {
    bytes.set(bytesOf(size.toString(8).padStart(11, "0")), SIZE_OFFSET);
    return;
  }
  bytes[SIZE_OFFSET] = 0x80;
  new DataView(bytes.buffer).setBigUint64(SIZE_OFFSET + 4, BigInt(size));
}
