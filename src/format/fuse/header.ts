import { getSafeUint64, setSafeUint64 } from "../../base/bytes.ts";

/** Bytes before the body of a request. */
export const FUSE_IN_HEADER_SIZE = 40;

/** Bytes before the body of a reply. */
export const FUSE_OUT_HEADER_SIZE = 16;

/** Who asks for what. One object serves for all requests of a reader: {@link decodeInHeader} fills it anew. */
export interface FuseInHeader {
  /** Bytes of the request with this header. */
  length: number;
  /** One of FUSE_OPCODES, or a request we do not know. */
  opcode: number;
  /**
   * Names the request in its reply. The kernel counts up from 0 by 2 and sets the highest of 64 bits in what it sends
   * again (FUSE_NOTIFY_RESEND): {@link FUSE_UNIQUE_RESEND} here, so that it stays a safe integer.
   */
  unique: number;
  nodeId: number;
  /** The thread that asks, as the mounting process numbers threads; 0 when it cannot see it. */
  pid: number;
}

/** Set in the `unique` of a request that the kernel sends again. On the wire it is 2^63. */
export const FUSE_UNIQUE_RESEND = 2 ** 52;

/** A header to decode into. */
export function newInHeader(): FuseInHeader {
  return { length: 0, opcode: 0, unique: 0, nodeId: 0, pid: 0 };
}

/**
 * Reads the header of a request into `header`.
 *
 * u32 length, u32 opcode, u64 unique, u64 nodeid, u32 uid, gid, pid, u16 extension length, u16 padding.
 * FUSE is in the byte order of the host; every host of ours is little-endian.
 *
 * @throws {RangeError} when it does not fit, or a number is over 2^53-1.
 * @see Linux include/uapi/linux/fuse.h, struct fuse_in_header, protocol 7.38
 */
export function decodeInHeader(view: DataView, offset: number, header: FuseInHeader): void {
  header.length = view.getUint32(offset, true);
  header.opcode = view.getUint32(offset + 4, true);
  header.unique = decodeUnique(view, offset + 8);
  header.nodeId = getSafeUint64(view, offset + 16);
  header.pid = view.getUint32(offset + 32, true);
}

/**
 * Reads the name of a request, see {@link FuseInHeader.unique}.
 *
 * @throws {RangeError} when it does not fit, or is 2^52 or more beside the highest bit.
 */
export function decodeUnique(view: DataView, offset: number): number {
  const high = view.getUint32(offset + 4, true);
  const unique = (high % 2 ** 31) * 2 ** 32 + view.getUint32(offset, true);
  if (unique >= FUSE_UNIQUE_RESEND) throw new RangeError(`request ${unique} is over 2^52-1`);
  return high < 2 ** 31 ? unique : unique + FUSE_UNIQUE_RESEND;
}

/** Writes what {@link decodeUnique} reads. */
export function encodeUnique(view: DataView, offset: number, unique: number): void {
  const isResent = unique >= FUSE_UNIQUE_RESEND;
  const number = isResent ? unique - FUSE_UNIQUE_RESEND : unique;
  view.setUint32(offset, number % 2 ** 32, true);
  view.setUint32(offset + 4, Math.floor(number / 2 ** 32) + (isResent ? 2 ** 31 : 0), true);
}

/** Writes the header of a request: what a test, standing in for the kernel, needs. */
export function encodeInHeader(view: DataView, offset: number, header: Readonly<FuseInHeader>): void {
  view.setUint32(offset, header.length, true);
  view.setUint32(offset + 4, header.opcode, true);
  encodeUnique(view, offset + 8, header.unique);
  setSafeUint64(view, offset + 16, header.nodeId);
  for (let at = 24; at < FUSE_IN_HEADER_SIZE; at += 4) view.setUint32(offset + at, 0, true);
  view.setUint32(offset + 32, header.pid, true);
}

/**
 * Writes the header of a reply.
 *
 * u32 length, i32 error, u64 unique.
 *
 * @param bodyLength Bytes behind the header.
 * @param error One of FUSE_ERRORS, or 0; with an error the body must be empty.
 * @see Linux include/uapi/linux/fuse.h, struct fuse_out_header
 */
export function encodeOutHeader(
  view: DataView,
  offset: number,
  bodyLength: number,
  error: number,
  unique: number,
): void {
  view.setUint32(offset, FUSE_OUT_HEADER_SIZE + bodyLength, true);
  view.setInt32(offset + 4, -error, true);
  encodeUnique(view, offset + 8, unique);
}
