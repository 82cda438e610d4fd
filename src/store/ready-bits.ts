/**
 * Which chunks of a blob may be read from its cache file now, in memory that threads share.
 *
 * Chunk i is bit `0x80 >> (i & 7)` of byte `i >> 3`, as in the chunk map file. A bit is set only after
 * the verified bytes were written, so who sees it may read them.
 */
export type ReadyBits = Uint8Array<SharedArrayBuffer>;

/** Bits for `count` chunks, none of them ready. */
export function createReadyBits(count: number): ReadyBits {
  return new Uint8Array(new SharedArrayBuffer(Math.ceil(count / 8)));
}

/** True when the bytes of chunk `index` are in the cache file and verified. Any thread may ask. */
export function isReady(bits: ReadyBits, index: number): boolean {
  return (Atomics.load(bits, index >> 3) & (0x80 >> (index & 7))) !== 0;
}

/** Marks a chunk ready. */
export function setReady(bits: ReadyBits, index: number): void {
  Atomics.or(bits, index >> 3, 0x80 >> (index & 7));
}

/** Takes a chunk back. */
export function clearReady(bits: ReadyBits, index: number): void {
  Atomics.and(bits, index >> 3, ~(0x80 >> (index & 7)) & 0xff);
}
