/**
 * Bytes that need not be UTF-8 (file names, link targets, xattr names) are held as *byte strings*:
 * strings whose every UTF-16 unit is one byte (latin-1). They compare bytewise with `<`.
 */
export type ByteString = string;

/** The bytes of a byte string. */
export function bytesOf(text: ByteString): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let index = 0; index < text.length; index++) bytes[index] = text.charCodeAt(index);
  return bytes;
}

/** The byte string of `bytes[start, end)`. */
export function byteString(bytes: Uint8Array, start = 0, end = bytes.length): ByteString {
  let text = "";
  for (let index = start; index < end; index += 4096) {
    const part = bytes.subarray(index, Math.min(index + 4096, end));
    // Not spread into arguments: that walks an iterator, and names are read by the million.
    text += String.fromCharCode.apply(undefined, part as unknown as number[]);
  }
  return text;
}

const utf8 = new TextDecoder();
const utf8Encoder = new TextEncoder();

/** The byte string of a text's UTF-8 form. */
export function byteStringOfText(text: string): ByteString {
  return byteString(utf8Encoder.encode(text));
}

/** A byte string as text for people: UTF-8 where it is, replacement characters where it is not. */
export function textOf(name: ByteString): string {
  return utf8.decode(bytesOf(name));
}

/** Orders byte strings by their bytes. */
export function compareByteStrings(left: ByteString, right: ByteString): number {
  return left < right ? -1 : left > right ? 1 : 0;
}

/** Lower-case hex digits of `bytes`. */
export function toHex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += byte.toString(16).padStart(2, "0");
  return text;
}

/** The bytes that hex digits name; `hex` must have an even number of them. */
export function fromHex(hex: string): Uint8Array {
  const bytes = new Uint8Array(hex.length / 2);
  for (let index = 0; index < bytes.length; index++) {
    bytes[index] = Number.parseInt(hex.slice(index * 2, index * 2 + 2), 16);
  }
  return bytes;
}

/** True when both hold the same bytes. */
export function equalBytes(left: Uint8Array, right: Uint8Array): boolean {
  if (left.length !== right.length) return false;
  for (let index = 0; index < left.length; index++) if (left[index] !== right[index]) return false;
  return true;
}

/** True when every byte is zero. */
export function isZero(bytes: Uint8Array): boolean {
  for (const byte of bytes) if (byte !== 0) return false;
  return true;
}

/** One array with the bytes of all parts, in order. */
export function concatBytes(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}

/** A view of exactly the bytes of `bytes`. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** `value` rounded up to a multiple of `alignment`. Exact up to 2^53-1. */
export function alignUp(value: number, alignment: number): number {
  return Math.ceil(value / alignment) * alignment;
}

/** `value` rounded down to a multiple of `alignment`. Exact up to 2^53-1. */
export function alignDown(value: number, alignment: number): number {
  return Math.floor(value / alignment) * alignment;
}

/**
 * Reads a little-endian u64 that must be a safe integer.
 *
 * @throws {RangeError} when it does not fit in `view` or is over 2^53-1.
 */
export function getSafeUint64(view: DataView, offset: number): number {
  const value = view.getBigUint64(offset, true);
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new RangeError(`u64 at ${offset} is ${value}, over 2^53-1`);
  }
  return Number(value);
}

/** Writes a non-negative safe integer as a little-endian u64. */
export function setSafeUint64(view: DataView, offset: number, value: number): void {
  view.setBigUint64(offset, BigInt(value), true);
}
