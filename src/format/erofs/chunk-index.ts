/** Bytes per entry of a chunked inode's array. */
export const CHUNK_INDEX_SIZE = 8;

/** The array starts at a multiple of this. */
export const CHUNK_INDEX_ALIGNMENT = 8;

/** Start block of a chunk that is not there: its bytes are zeros. EROFS_NULL_ADDR in erofs-utils. */
export const NULL_START_BLOCK = 0xffff_ffff;

/** Where one chunk of a file is found. */
export interface ChunkIndex {
  /** Row in the blob table; -1 stands for device 0, the bootstrap itself, which RAFS does not use. */
  readonly blobIndex: number;
  /** Position in the chunk information array of the blob, below 2^24. */
  readonly chunkIndex: number;
  /** First block of the chunk in the decoded space of the blob, in filesystem blocks. */
  readonly startBlock: number;
}

/**
 * Reads one chunk index.
 *
 * On disk (little-endian): u16 chunk index bits 0-15, u8 blob index + 1, u8 chunk index bits 16-23, u32 start block.
 * Plain EROFS sees a u16 device id whose high byte its mask removes.
 *
 * @throws {RangeError} when it does not fit in `view`.
 * @see nydus rafs/src/metadata/layout/v6.rs, RafsV6InodeChunkAddr
 */
export function decodeChunkIndex(view: DataView, offset: number): ChunkIndex {
  return {
    blobIndex: view.getUint8(offset + 2) - 1,
    chunkIndex: view.getUint16(offset, true) + view.getUint8(offset + 3) * 0x1_0000,
    startBlock: view.getUint32(offset + 4, true),
  };
}

/**
 * Writes one chunk index.
 *
 * @throws {RangeError} when it does not fit in `view`.
 */
export function encodeChunkIndex(view: DataView, offset: number, index: ChunkIndex): void {
  view.setUint16(offset, index.chunkIndex & 0xffff, true);
  view.setUint8(offset + 2, index.blobIndex + 1);
  view.setUint8(offset + 3, index.chunkIndex >> 16);
  view.setUint32(offset + 4, index.startBlock, true);
}
