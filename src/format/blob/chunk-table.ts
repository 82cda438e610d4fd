/** Flag bits of a chunk, as the chunk information array (V2) and the chunk records store them. */
export const CHUNK_COMPRESSED = 1;

/**
 * Where the chunks of one blob lie, by chunk index. Offsets and sizes are bytes.
 *
 * Chunks are in rising order in both spaces, so decoded positions can be searched.
 */
export class ChunkTable {
  readonly count: number;
  readonly storedOffsets: Float64Array;
  readonly storedSizes: Uint32Array;
  readonly decodedOffsets: Float64Array;
  readonly decodedSizes: Uint32Array;
  /** Bits such as {@link CHUNK_COMPRESSED}. */
  readonly flags: Uint8Array;

  constructor(count: number) {
    this.count = count;
    this.storedOffsets = new Float64Array(count);
    this.storedSizes = new Uint32Array(count);
    this.decodedOffsets = new Float64Array(count);
    this.decodedSizes = new Uint32Array(count);
    this.flags = new Uint8Array(count);
  }

  /** True when the stored bytes of the chunk are compressed. */
  isCompressed(index: number): boolean {
    return ((this.flags[index] ?? 0) & CHUNK_COMPRESSED) !== 0;
  }
}
