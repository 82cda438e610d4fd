import { getSafeUint64, setSafeUint64 } from "../../base/bytes.ts";

/** Bytes per record of the chunk table (v6) and per chunk behind an inode (v5). */
export const CHUNK_RECORD_SIZE = 80;

/** Bits of {@link ChunkRecord.flags}. They differ from those of the chunk information array. */
export const CHUNK_RECORD_FLAGS = {
  COMPRESSED: 0x1,
  HOLE: 0x2,
  ENCRYPTED: 0x4,
  BATCH: 0x8,
  HAS_CRC32C: 0x10,
} as const;

/** One chunk as a bootstrap describes it. Offsets and sizes are bytes. */
export interface ChunkRecord {
  /** 32 bytes over the decoded bytes. A decoded record has a view of the bootstrap, not a copy. */
  readonly digest: Uint8Array;
  readonly blobIndex: number;
  /** Bits of {@link CHUNK_RECORD_FLAGS}. */
  readonly flags: number;
  /** 0 for a member of a batch. */
  readonly storedSize: number;
  readonly decodedSize: number;
  readonly storedOffset: number;
  readonly decodedOffset: number;
  /** Where the chunk lies in the file that was written last with it; of no use to a reader. */
  readonly fileOffset: number;
  /** Position in the chunk information array of the blob. */
  readonly index: number;
  /** Meaningful only with HAS_CRC32C. */
  readonly crc32c: number;
}

/**
 * Reads a chunk record.
 *
 * On disk (little-endian): 32 bytes digest, u32 blob, flags, stored size, decoded size,
 * u64 stored offset, decoded offset, file offset, u32 index, CRC-32C.
 *
 * @throws {RangeError} when it does not fit in `view` or an offset is over 2^53-1.
 * @see nydus rafs/src/metadata/layout/v5.rs, RafsV5ChunkInfo
 */
export function decodeChunkRecord(view: DataView, offset: number): ChunkRecord {
  return {
    blobIndex: view.getUint32(offset + 32, true),
    flags: view.getUint32(offset + 36, true),
    storedSize: view.getUint32(offset + 40, true),
    decodedSize: view.getUint32(offset + 44, true),
    storedOffset: getSafeUint64(view, offset + 48),
    decodedOffset: getSafeUint64(view, offset + 56),
    fileOffset: getSafeUint64(view, offset + 64),
    index: view.getUint32(offset + 72, true),
    crc32c: view.getUint32(offset + 76, true),
    digest: new Uint8Array(view.buffer, view.byteOffset + offset, 32),
  };
}

/**
 * Writes a chunk record.
 *
 * @throws {RangeError} when it does not fit in `view` or the digest is longer than 32 bytes.
 */
export function encodeChunkRecord(view: DataView, offset: number, record: ChunkRecord): void {
  view.setUint32(offset + 32, record.blobIndex, true);
  view.setUint32(offset + 36, record.flags, true);
  view.setUint32(offset + 40, record.storedSize, true);
  view.setUint32(offset + 44, record.decodedSize, true);
  setSafeUint64(view, offset + 48, record.storedOffset);
  setSafeUint64(view, offset + 56, record.decodedOffset);
  setSafeUint64(view, offset + 64, record.fileOffset);
  view.setUint32(offset + 72, record.index, true);
  view.setUint32(offset + 76, record.crc32c, true);
  new Uint8Array(view.buffer, view.byteOffset + offset, 32).set(record.digest);
}
