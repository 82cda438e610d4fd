import { alignUp, type ByteString, setSafeUint64 } from "../../base/bytes.ts";
import { FUSE_ENTRY_OUT_SIZE } from "./attr.ts";

/** Bytes of a directory entry before its name. */
const DIRENT_HEADER_SIZE = 24;

/** Directory entries start at multiples of this. */
const DIRENT_ALIGNMENT = 8;

/** A name in a directory listing. */
export interface FuseDirent {
  /** d_ino. */
  readonly ino: number;
  /** Where the listing goes on behind this name; 0 stands for the start and is never used here. */
  readonly nextOffset: number;
  /** d_type: the type bits of st_mode, shifted right by 12. */
  readonly type: number;
  readonly name: ByteString;
}

/** Bytes that a name takes in the reply to READDIR. */
export function direntSize(nameLength: number): number {
  return alignUp(DIRENT_HEADER_SIZE + nameLength, DIRENT_ALIGNMENT);
}

/** Bytes that a name takes in the reply to READDIRPLUS. */
export function direntPlusSize(nameLength: number): number {
  return FUSE_ENTRY_OUT_SIZE + direntSize(nameLength);
}

/**
 * Writes one name of a listing, {@link direntSize} bytes. In READDIRPLUS an entry as in the reply to LOOKUP
 * stands before it.
 *
 * u64 ino, u64 off, u32 namelen, u32 type, the name, zeroes up to a multiple of 8.
 *
 * @see Linux include/uapi/linux/fuse.h, struct fuse_dirent, fuse_direntplus
 */
export function encodeDirent(view: DataView, offset: number, dirent: FuseDirent): void {
  const { name } = dirent;
  setSafeUint64(view, offset, dirent.ino);
  setSafeUint64(view, offset + 8, dirent.nextOffset);
  view.setUint32(offset + 16, name.length, true);
  view.setUint32(offset + 20, dirent.type, true);
  const end = direntSize(name.length) - DIRENT_HEADER_SIZE;
  for (let at = 0; at < end; at++) {
    // charCodeAt gives NaN behind the name, which is stored as 0.
    view.setUint8(offset + DIRENT_HEADER_SIZE + at, name.charCodeAt(at));
  }
}
