import { type ByteString, setSafeUint64, viewOf } from "../../base/bytes.ts";
import { FUSE_OUT_HEADER_SIZE } from "./header.ts";

/**
 * Messages to the kernel that answer no request: in the header `unique` is 0, and `error` is one of these.
 *
 * @see Linux include/uapi/linux/fuse.h, enum fuse_notify_code
 */
const NOTIFY_CODES = { INVAL_INODE: 2, INVAL_ENTRY: 3, RESEND: 7 } as const;

function message(code: number, bodyLength: number): { bytes: Uint8Array; view: DataView } {
  const bytes = new Uint8Array(FUSE_OUT_HEADER_SIZE + bodyLength);
  const view = viewOf(bytes);
  view.setUint32(0, bytes.length, true);
  view.setInt32(4, code, true);
  return { bytes, view };
}

/**
 * "Forget the attributes and the cached pages, or names, of an inode."
 *
 * u64 node id, i64 offset, i64 length, 0 for everything.
 */
export function encodeInvalidInode(nodeId: number): Uint8Array {
  const { bytes, view } = message(NOTIFY_CODES.INVAL_INODE, 24);
  setSafeUint64(view, FUSE_OUT_HEADER_SIZE, nodeId);
  return bytes;
}

/**
 * "Forget what this name of a directory stands for, and everything below."
 *
 * u64 node id of the directory, u32 name length, u32 flags, the name, a zero byte.
 */
export function encodeInvalidEntry(directory: number, name: ByteString): Uint8Array {
  const { bytes, view } = message(NOTIFY_CODES.INVAL_ENTRY, 16 + name.length + 1);
  setSafeUint64(view, FUSE_OUT_HEADER_SIZE, directory);
  view.setUint32(FUSE_OUT_HEADER_SIZE + 8, name.length, true);
  for (let at = 0; at < name.length; at++) {
    view.setUint8(FUSE_OUT_HEADER_SIZE + 16 + at, name.charCodeAt(at));
  }
  return bytes;
}

/** "Send again every request that was read and not answered." Linux 6.9. */
export function encodeResend(): Uint8Array {
  return message(NOTIFY_CODES.RESEND, 0).bytes;
}
