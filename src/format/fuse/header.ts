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
  /** Names the request in its reply. The kernel counts up from 0 by 2, so it stays a safe integer. */
  unique: number;
  nodeId: number;
}

/** A header to decode into. */
export function newInHeader(): FuseInHeader {
  return { length: 0, opcode: 0, unique: 0, nodeId: 0 };
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
  header.unique = getSafeUint64(view, offset + 8);
  header.nodeId = getSafeUint64(view, offset + 16);
}

/** Writes the header of a request: what a test, standing in for the kernel, needs. */
export function encodeInHeader(view: DataView, offset: number, header: Readonly<FuseInHeader>): void {
  view.setUint32(offset, header.length, true);
  view.setUint32(offset + 4, header.opcode, true);
  setSafeUint64(view, offset + 8, header.unique);
  setSafeUint64(view, offset + 16, header.nodeId);
  for (let at = 24; at < FUSE_IN_HEADER_SIZE; at += 4) view.setUint32(offset + at, 0, true);
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
  view.setUint32(offset + 8, unique % 2 ** 32, true);
  view.setUint32(offset + 12, Math.floor(unique / 2 ** 32), true);
}
