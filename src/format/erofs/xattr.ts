import { alignUp, type ByteString, byteString, bytesOf } from "../../base/bytes.ts";
import { CodedError } from "../../base/errors.ts";

/** Bytes before the first xattr: u32 name filter, u8 shared count, 7 reserved. */
export const XATTR_HEADER_SIZE = 12;

/** Bytes before the name of one xattr: u8 name length, u8 prefix, u16 value size. */
const XATTR_ENTRY_SIZE = 4;

/** The area is padded to, and counted in, units of this many bytes. */
const XATTR_UNIT = 4;

/** Most bytes of the name behind the prefix, and of a value. */
export const MAX_XATTR_SUFFIX = 255;
export const MAX_XATTR_VALUE = 0xffff;

/** Most bytes of all xattrs of an inode: what the inode's u16 count can say. */
export const MAX_XATTRS_SIZE = XATTR_HEADER_SIZE + (0xffff - 1) * XATTR_UNIT;

/** Prefixes by number. Only the two ACL names stand for themselves, with nothing behind them. */
const PREFIXES: readonly { readonly number: number; readonly text: string; readonly isWhole: boolean }[] = [
  { number: 1, text: "user.", isWhole: false },
  { number: 2, text: "system.posix_acl_access", isWhole: true },
  { number: 3, text: "system.posix_acl_default", isWhole: true },
  { number: 4, text: "trusted.", isWhole: false },
  { number: 6, text: "security.", isWhole: false },
];

/** Bytes of the xattr area that the count of an inode means. */
export function xattrAreaSize(xattrCount: number): number {
  return xattrCount === 0 ? 0 : XATTR_HEADER_SIZE + (xattrCount - 1) * XATTR_UNIT;
}

/** The count an inode stores for an xattr area of `size` bytes. */
export function xattrCountOf(size: number): number {
  return size === 0 ? 0 : (size - XATTR_HEADER_SIZE) / XATTR_UNIT + 1;
}

/**
 * Reads the xattrs inside an inode: full names to views of the values, in stored order.
 *
 * @param size Bytes of the area, 0 or more than the header.
 * @throws {RangeError} when the area does not fit in `view`, or an xattr not in the area.
 * @throws {CodedError} ERR_FEATURE_UNSUPPORTED for shared xattrs (RAFS has no shared area) and unknown prefixes.
 * @see Linux fs/erofs/erofs_fs.h, struct erofs_xattr_ibody_header and erofs_xattr_entry
 */
export function decodeXattrs(view: DataView, offset: number, size: number): Map<ByteString, Uint8Array> {
  const xattrs = new Map<ByteString, Uint8Array>();
  if (size === 0) return xattrs;
  if (view.getUint8(offset + 4) !== 0) {
    throw new CodedError("ERR_FEATURE_UNSUPPORTED", "xattrs in a shared area");
  }
  const end = offset + size;
  if (end > view.byteLength) throw new RangeError(`xattrs at ${offset} end at ${end}, outside the image`);
  const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  for (let next = offset + XATTR_HEADER_SIZE; next < end; ) {
    const prefixNumber = view.getUint8(next + 1);
    const nameStart = next + XATTR_ENTRY_SIZE;
    const valueStart = nameStart + view.getUint8(next);
    const valueEnd = valueStart + view.getUint16(next + 2, true);
    if (valueEnd > end) throw new RangeError(`xattr at ${next} ends at ${valueEnd}, its area at ${end}`);
    const prefix = PREFIXES.find(({ number }) => number === prefixNumber);
    if (prefix === undefined) {
      throw new CodedError(
        "ERR_FEATURE_UNSUPPORTED",
        `xattr at ${next} has the unknown prefix ${prefixNumber}`,
      );
    }
    xattrs.set(prefix.text + byteString(bytes, nameStart, valueStart), bytes.subarray(valueStart, valueEnd));
    next = valueEnd + ((XATTR_UNIT - ((valueEnd - offset) % XATTR_UNIT)) % XATTR_UNIT);
  }
  return xattrs;
}

/**
 * Bytes of the area that holds these xattrs: 0 when there are none.
 *
 * @throws {CodedError} ERR_FEATURE_UNSUPPORTED for a name whose prefix EROFS as nydus writes it cannot name;
 *   ERR_LIMIT_EXCEEDED for a name, a value or a sum that is too long.
 */
export function sizeXattrs(xattrs: ReadonlyMap<ByteString, Uint8Array>): number {
  if (xattrs.size === 0) return 0;
  let size = XATTR_HEADER_SIZE;
  for (const [name, value] of xattrs) {
    const suffixLength = name.length - prefixOf(name).text.length;
    if (suffixLength > MAX_XATTR_SUFFIX) {
      throw tooLong(`the name of xattr ${JSON.stringify(name)}`, suffixLength, MAX_XATTR_SUFFIX);
    }
    if (value.length > MAX_XATTR_VALUE) {
      throw tooLong(`the value of xattr ${JSON.stringify(name)}`, value.length, MAX_XATTR_VALUE);
    }
    size += alignUp(XATTR_ENTRY_SIZE + suffixLength + value.length, XATTR_UNIT);
  }
  if (size > MAX_XATTRS_SIZE) throw tooLong("all xattrs of an inode", size, MAX_XATTRS_SIZE);
  return size;
}

/**
 * Writes xattrs, sorted by the bytes of their names, into zeroed bytes.
 *
 * @throws {RangeError} when they do not fit in `view`.
 * @throws {CodedError} as {@link sizeXattrs}.
 */
export function encodeXattrs(
  view: DataView,
  offset: number,
  xattrs: ReadonlyMap<ByteString, Uint8Array>,
): void {
  if (xattrs.size === 0) return;
  const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  let next = offset + XATTR_HEADER_SIZE;
  for (const name of [...xattrs.keys()].sort()) {
    const value = xattrs.get(name) ?? new Uint8Array();
    const prefix = prefixOf(name);
    const suffix = bytesOf(name.slice(prefix.text.length));
    view.setUint8(next, suffix.length);
    view.setUint8(next + 1, prefix.number);
    view.setUint16(next + 2, value.length, true);
    bytes.set(suffix, next + XATTR_ENTRY_SIZE);
    bytes.set(value, next + XATTR_ENTRY_SIZE + suffix.length);
    next += alignUp(XATTR_ENTRY_SIZE + suffix.length + value.length, XATTR_UNIT);
  }
}

function prefixOf(name: ByteString): { readonly number: number; readonly text: string } {
  const prefix = PREFIXES.find(({ text, isWhole }) => (isWhole ? name === text : name.startsWith(text)));
  if (prefix === undefined) {
    throw new CodedError(
      "ERR_FEATURE_UNSUPPORTED",
      `xattr ${JSON.stringify(name)}: nydus has no prefix for it`,
    );
  }
  return prefix;
}

function tooLong(what: string, size: number, maximum: number): CodedError {
  return new CodedError("ERR_LIMIT_EXCEEDED", `${what}: ${size} bytes, nydus holds ${maximum}`);
}
