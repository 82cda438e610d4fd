import { alignUp } from "../base/bytes.ts";
import { INODE_SLOT_SIZE } from "../format/erofs/inode.ts";

/** Where an inode and its content go. Offsets are bytes from the start of the metadata area. */
export interface Place {
  readonly offset: number;
  /** First byte of the whole blocks of the content; when all is inline, where they would have gone. */
  readonly contentOffset: number;
  /** The last partial block lies right behind the inode. */
  readonly isInline: boolean;
}

/**
 * Gives inodes and directory blocks their places, filling the gaps that block alignment leaves.
 *
 * It makes the choices that the builder of nydus makes, so the same tree gives the same bytes.
 *
 * @see nydus builder/src/core/v6.rs, v6_set_offset
 */
export class Placement {
  readonly #blockSize: number;
  /** Free tails of blocks by how many slots are free: block offsets, in the order they came to be. */
  readonly #gaps: Gaps[];
  /** First byte that nothing uses yet, a multiple of the slot size. */
  #end: number;

  /** @param start First byte to use, a multiple of the block size. */
  constructor(blockSize: number, start: number) {
    this.#blockSize = blockSize;
    this.#gaps = Array.from({ length: blockSize / INODE_SLOT_SIZE }, () => new Gaps());
    this.#end = start;
  }

  /** Bytes used so far, counted from the start of the metadata area. */
  get end(): number {
    return this.#end;
  }

  /** Places a regular file: inode, xattrs and chunk array of `size` bytes together. */
  placeFile(size: number): number {
    const offset = this.#take(size) ?? this.#append(size);
    this.#alignEnd();
    return offset;
  }

  /** Places an inode without content: `size` bytes that never fill a gap. */
  placeDevice(size: number): number {
    const offset = this.#append(size);
    this.#alignEnd();
    return offset;
  }

  /** Places a directory or a symlink: inode and xattrs of `headSize`, and content of `contentSize` bytes. */
  placeWithContent(headSize: number, contentSize: number): Place {
    const tail = contentSize % this.#blockSize;
    const isInline = tail !== 0 && headSize + tail <= this.#blockSize;
    const offset = isInline
      ? this.#placeInline(headSize + tail)
      : (this.#take(headSize) ?? this.#append(headSize));
    const wholeBlocks = isInline ? contentSize - tail : alignUp(contentSize, this.#blockSize);
    if (wholeBlocks > 0) this.#closeBlock();
    const contentOffset = this.#append(wholeBlocks);
    this.#alignEnd();
    return { offset, contentOffset, isInline };
  }

  /** An inode with its tail may not straddle blocks: the kernel reads the tail from one. */
  #placeInline(size: number): number {
    const taken = this.#take(size);
    if (taken !== undefined) return taken;
    if (this.#blockSize - (this.#end % this.#blockSize) < size) this.#closeBlock();
    return this.#append(size);
  }

  #append(size: number): number {
    const offset = this.#end;
    this.#end += size;
    return offset;
  }

  #alignEnd(): void {
    this.#end = alignUp(this.#end, INODE_SLOT_SIZE);
  }

  /** Leaves the rest of the block at the end to later inodes. */
  #closeBlock(): void {
    this.#addGap(this.#end);
    this.#end = alignUp(this.#end, this.#blockSize);
  }

  /** Notes that the block of `offset` is free from there on; nothing when a block starts there. */
  #addGap(offset: number): void {
    const used = offset % this.#blockSize;
    const freeSlots = Math.floor((this.#blockSize - used) / INODE_SLOT_SIZE);
    if (used !== 0) this.#gaps[freeSlots]?.push(offset - used);
  }

  /** The oldest of the smallest gaps that hold `size` bytes. */
  #take(size: number): number | undefined {
    if (size >= this.#blockSize) return undefined;
    const slots = Math.ceil(size / INODE_SLOT_SIZE);
    for (let free = slots; free < this.#gaps.length; free++) {
      const block = this.#gaps[free]?.shift();
      if (block !== undefined) {
        const offset = block + this.#blockSize - free * INODE_SLOT_SIZE;
        this.#addGap(offset + slots * INODE_SLOT_SIZE);
        return offset;
      }
    }
    return undefined;
  }
}

/** A queue whose `shift` does not move the rest. */
class Gaps {
  readonly #blocks: number[] = [];
  #next = 0;

  push(block: number): void {
    this.#blocks.push(block);
  }

  shift(): number | undefined {
    return this.#next < this.#blocks.length ? this.#blocks[this.#next++] : undefined;
  }
}
