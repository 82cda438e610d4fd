import { type ByteString, byteString } from "../base/bytes.ts";
import { DIRENT_SIZE, direntNameOffset, direntNid } from "../format/erofs/dirent.ts";
import { corruptInode } from "./bootstrap-error.ts";

/** Positions of one block in a directory cookie: more than the 341 entries that fit in 4096 bytes. */
export const POSITIONS_PER_BLOCK = 512;

/**
 * One block of a directory: entries first, their names behind them in the same order.
 *
 * Names are compared where they lie: a lookup makes no strings.
 * Everything that does not fit throws a CodedError with ERR_BOOTSTRAP_CORRUPT.
 */
export class DirentBlock {
  /** Entries in the block, at least 1. */
  readonly count: number;
  readonly #view: DataView;
  readonly #bytes: Uint8Array;
  readonly #start: number;
  readonly #length: number;
  readonly #directoryNid: number;

  /**
   * @param bytes The bootstrap, which holds the whole block.
   * @param view The same bytes.
   * @param start First byte of the block.
   * @param length Bytes of the block that belong to the directory.
   * @param directoryNid Whose block it is, for messages.
   */
  constructor(bytes: Uint8Array, view: DataView, start: number, length: number, directoryNid: number) {
    this.#bytes = bytes;
    this.#view = view;
    this.#start = start;
    this.#length = length;
    this.#directoryNid = directoryNid;
    const firstName = length < DIRENT_SIZE ? 0 : direntNameOffset(view, start);
    if (firstName === 0 || firstName % DIRENT_SIZE !== 0 || firstName >= length) {
      throw corruptInode(directoryNid, `first name at ${firstName} of a directory block of ${length} bytes`);
    }
    this.count = firstName / DIRENT_SIZE;
  }

  nid(index: number): number {
    try {
      return direntNid(this.#view, this.#start + index * DIRENT_SIZE);
    } catch (error) {
      throw corruptInode(this.#directoryNid, `directory entry ${index}`, error);
    }
  }

  /** One of DIRENT_TYPES, or 0. */
  fileType(index: number): number {
    return this.#view.getUint8(this.#start + index * DIRENT_SIZE + 10);
  }

  name(index: number): ByteString {
    return byteString(this.#bytes, this.#start + this.#nameOffset(index), this.#start + this.#nameEnd(index));
  }

  /** Below 0 when entry `index` sorts before `name`, 0 when it is `name`, else above 0. */
  compare(index: number, name: ByteString): number {
    const start = this.#nameOffset(index);
    const length = this.#nameEnd(index) - start;
    const common = Math.min(length, name.length);
    for (let at = 0; at < common; at++) {
      const difference = (this.#bytes[this.#start + start + at] ?? 0) - name.charCodeAt(at);
      if (difference !== 0) return difference;
    }
    return length - name.length;
  }

  /** The entry called `name`, if it is in this block. */
  find(name: ByteString): number | undefined {
    let low = 0;
    let high = this.count - 1;
    while (low <= high) {
      const middle = (low + high) >>> 1;
      const order = this.compare(middle, name);
      if (order === 0) return middle;
      if (order < 0) low = middle + 1;
      else high = middle - 1;
    }
    return undefined;
  }

  #nameOffset(index: number): number {
    return direntNameOffset(this.#view, this.#start + index * DIRENT_SIZE);
  }

  #nameEnd(index: number): number {
    const start = this.#nameOffset(index);
    const end = index + 1 < this.count ? this.#nameOffset(index + 1) : this.#lastNameEnd(start);
    if (start >= end || end > this.#length) {
      throw corruptInode(
        this.#directoryNid,
        `name of directory entry ${index} is at ${start} to ${end} of a block of ${this.#length}`,
      );
    }
    return end;
  }

  /** The last name ends at the first NUL, as blocks that are not full are padded with zeroes. */
  #lastNameEnd(start: number): number {
    for (let at = start; at < this.#length; at++) if (this.#bytes[this.#start + at] === 0) return at;
    return this.#length;
  }
}
