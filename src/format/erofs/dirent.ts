/** Bytes per directory entry, without its name. */
export const DIRENT_SIZE = 12;

/** Type of the inode an entry leads to, as EROFS numbers them. 0 is unknown. */
export const DIRENT_TYPES = {
  file: 1,
  dir: 2,
  char: 3,
  block: 4,
  fifo: 5,
  socket: 6,
  symlink: 7,
} as const;

/** A directory entry; its name lies elsewhere in the same block. */
export interface Dirent {
  readonly nid: number;
  /** Start of the name, bytes from the start of the block. */
  readonly nameOffset: number;
  /** One of {@link DIRENT_TYPES}, or 0. */
  readonly fileType: number;
}

/**
 * Reads a directory entry.
 *
 * On disk (little-endian): u64 nid, u16 name offset, u8 file type, u8 reserved.
 *
 * @throws {RangeError} when it does not fit in `view` or the nid is over 2^53-1.
 * @see Linux fs/erofs/erofs_fs.h, struct erofs_dirent
 */
export function decodeDirent(view: DataView, offset: number): Dirent {
  return {
    nid: direntNid(view, offset),
    nameOffset: direntNameOffset(view, offset),
    fileType: view.getUint8(offset + 10),
  };
}

/** The nid alone, for searches that make no records. Throws as {@link decodeDirent}. */
export function direntNid(view: DataView, offset: number): number {
  const nid = view.getUint32(offset + 4, true) * 2 ** 32 + view.getUint32(offset, true);
  if (!Number.isSafeInteger(nid)) throw new RangeError(`nid at ${offset} is over 2^53-1`);
  return nid;
}

/** The name offset alone, for searches that make no records. */
export function direntNameOffset(view: DataView, offset: number): number {
  return view.getUint16(offset + 8, true);
}

/**
 * Writes a directory entry.
 *
 * @throws {RangeError} when it does not fit in `view`.
 */
export function encodeDirent(view: DataView, offset: number, dirent: Dirent): void {
  view.setUint32(offset, dirent.nid % 2 ** 32, true);
  view.setUint32(offset + 4, Math.floor(dirent.nid / 2 ** 32), true);
  view.setUint16(offset + 8, dirent.nameOffset, true);
  view.setUint8(offset + 10, dirent.fileType);
  view.setUint8(offset + 11, 0);
}
