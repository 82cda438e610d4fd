import { type ByteString, byteString, getSafeUint64, viewOf } from "../../base/bytes.ts";

/** Bytes of one row of the extended blob table. */
export const V5_EXTENDED_BLOB_SIZE = 64;

/** A blob as the v5 blob table names it. */
export interface V5Blob {
  readonly id: ByteString;
  /** The stored range to fetch early: bytes of the blob file. */
  readonly readaheadOffset: number;
  readonly readaheadSize: number;
}

/** What the extended blob table adds. Sizes are bytes. */
export interface V5ExtendedBlob {
  readonly chunkCount: number;
  /** Bits of BLOB_FEATURES. */
  readonly features: number;
  readonly decodedSize: number;
  readonly storedSize: number;
}

/**
 * Reads the blob table: per blob u32 readahead offset, u32 readahead size, then the id up to a NUL or,
 * for the last, the end. Zeros pad the table to a multiple of 8.
 *
 * @param limit Most blobs to read.
 * @throws {RangeError} when a row is cut off or there are more than `limit`.
 * @see nydus rafs/src/metadata/layout/v5.rs, RafsV5BlobTable
 */
export function decodeV5BlobTable(table: Uint8Array, limit: number): V5Blob[] {
  const blobs: V5Blob[] = [];
  const view = viewOf(table);
  for (let offset = 0; offset < table.length; ) {
    // Fewer bytes than a row, or a row without id: the padding at the end.
    if (table.length - offset <= 8 && table.subarray(offset).every((byte) => byte === 0)) break;
    if (blobs.length >= limit) throw new RangeError(`blob table names more than ${limit} blobs`);
    const idStart = offset + 8;
    if (idStart > table.length) throw new RangeError(`blob table ends inside row ${blobs.length}`);
    const nul = table.indexOf(0, idStart);
    const idEnd = nul === -1 ? table.length : nul;
    blobs.push({
      readaheadOffset: view.getUint32(offset, true),
      readaheadSize: view.getUint32(offset + 4, true),
      id: byteString(table, idStart, idEnd),
    });
    offset = idEnd + 1;
  }
  return blobs;
}

/**
 * Reads one row of the extended blob table.
 *
 * On disk (little-endian): u32 chunks, u32 features, u64 decoded size, u64 stored size, 40 reserved.
 *
 * @throws {RangeError} when it does not fit in `view` or a u64 is over 2^53-1.
 * @see nydus rafs/src/metadata/layout/v5.rs, RafsV5ExtBlobEntry
 */
export function decodeV5ExtendedBlob(view: DataView, offset: number): V5ExtendedBlob {
  return {
    chunkCount: view.getUint32(offset, true),
    features: view.getUint32(offset + 4, true),
    decodedSize: getSafeUint64(view, offset + 8),
    storedSize: getSafeUint64(view, offset + 16),
  };
}
