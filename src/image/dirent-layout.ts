import type { ByteString } from "../base/bytes.ts";
import { DIRENT_SIZE } from "../format/erofs/dirent.ts";

/** How the names of a directory are spread over blocks. */
export interface DirentLayout {
  /** Index of the first name of each block; the last block ends with the last name. */
  readonly blockStarts: readonly number[];
  /** Bytes of the directory: full blocks, and of the last one what it uses. */
  readonly size: number;
}

/**
 * Spreads names over blocks as nydus does: a block is closed when the next name does not fit.
 *
 * @param names All names with `.` and `..`, sorted by bytes; each fits in a block.
 */
export function layoutDirents(names: readonly ByteString[], blockSize: number): DirentLayout {
  const blockStarts = [0];
  let used = 0;
  names.forEach((name, index) => {
    const needed = DIRENT_SIZE + name.length;
    if (used + needed > blockSize) {
      blockStarts.push(index);
      used = 0;
    }
    used += needed;
  });
  return { blockStarts, size: (blockStarts.length - 1) * blockSize + used };
}
