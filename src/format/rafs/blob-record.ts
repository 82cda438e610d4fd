import { byteString, bytesOf, getSafeUint64, setSafeUint64 } from "../../base/bytes.ts";

/** Bytes per row of the v6 blob table. */
export const BLOB_RECORD_SIZE = 256;

/** What stands for the id of the blob that a bootstrap is part of. */
export const PLACEHOLDER_BLOB_ID = "x".repeat(64);

const ID_SIZE = 64;

/** A row of the v6 blob table. Offsets are bytes in the blob file, sizes bytes. */
export interface BlobRecord {
  /** Without the NULs that pad it. */
  readonly id: string;
  readonly index: number;
  readonly chunkSize: number;
  readonly chunkCount: number;
  readonly compressor: number;
  readonly digester: number;
  /** Bits of BLOB_FEATURES. */
  readonly features: number;
  readonly storedSize: number;
  readonly decodedSize: number;
  readonly tocSize: number;
  readonly chunkInformationCompressor: number;
  readonly chunkInformationOffset: number;
  readonly chunkInformationStoredSize: number;
  readonly chunkInformationDecodedSize: number;
  /** 32 bytes; zero when not recorded. Decoded digests are views of the bootstrap. */
  readonly tocDigest: Uint8Array;
  /** 32 bytes: id of the blob with the chunk information, or a cipher's key. */
  readonly metaDigest: Uint8Array;
  readonly metaSize: number;
  readonly cipher: number;
}

/**
 * Reads a row of the blob table; checks nothing. The cipher's iv is skipped.
 *
 * @throws {RangeError} when it does not fit in `view` or a u64 is over 2^53-1.
 * @see nydus rafs/src/metadata/layout/v6.rs, RafsV6Blob
 */
export function decodeBlobRecord(view: DataView, offset: number): BlobRecord {
  const cipher = view.getUint32(offset + 216, true);
  const features = view.getUint32(offset + 84, true);
  const at = (start: number, size: number): Uint8Array =>
    new Uint8Array(view.buffer, view.byteOffset + offset + start, size);
  return {
    id: byteString(at(0, ID_SIZE)).replace(/\0+$/, ""),
    index: view.getUint32(offset + 64, true),
    chunkSize: view.getUint32(offset + 68, true),
    chunkCount: view.getUint32(offset + 72, true),
    compressor: view.getUint32(offset + 76, true),
    digester: view.getUint32(offset + 80, true),
    features,
    storedSize: getSafeUint64(view, offset + 88),
    decodedSize: getSafeUint64(view, offset + 96),
    tocSize: view.getUint32(offset + 104, true),
    chunkInformationCompressor: view.getUint32(offset + 108, true),
    chunkInformationOffset: getSafeUint64(view, offset + 112),
    chunkInformationStoredSize: getSafeUint64(view, offset + 120),
    chunkInformationDecodedSize: getSafeUint64(view, offset + 128),
    tocDigest: at(136, 32),
    metaDigest: at(168, 32),
    // Encrypted blobs keep the first half of the iv here: any 64 bits.
    metaSize: cipher === 0 ? getSafeUint64(view, offset + 200) : 0,
    cipher,
  };
}

/**
 * Writes a row of the blob table into zeroed bytes.
 *
 * @throws {RangeError} when it does not fit in `view`, or id or digests are too long.
 */
export function encodeBlobRecord(view: DataView, offset: number, record: BlobRecord): void {
  view.setUint32(offset + BLOB_RECORD_SIZE - 4, 0, true);
  const bytes = new Uint8Array(view.buffer, view.byteOffset + offset, BLOB_RECORD_SIZE);
  bytes.subarray(0, ID_SIZE).set(bytesOf(record.id));
  view.setUint32(offset + 64, record.index, true);
  view.setUint32(offset + 68, record.chunkSize, true);
  view.setUint32(offset + 72, record.chunkCount, true);
  view.setUint32(offset + 76, record.compressor, true);
  view.setUint32(offset + 80, record.digester, true);
  view.setUint32(offset + 84, record.features, true);
  setSafeUint64(view, offset + 88, record.storedSize);
  setSafeUint64(view, offset + 96, record.decodedSize);
  view.setUint32(offset + 104, record.tocSize, true);
  view.setUint32(offset + 108, record.chunkInformationCompressor, true);
  setSafeUint64(view, offset + 112, record.chunkInformationOffset);
  setSafeUint64(view, offset + 120, record.chunkInformationStoredSize);
  setSafeUint64(view, offset + 128, record.chunkInformationDecodedSize);
  bytes.subarray(136, 168).set(record.tocDigest);
  bytes.subarray(168, 200).set(record.metaDigest);
  setSafeUint64(view, offset + 200, record.metaSize);
  view.setUint32(offset + 216, record.cipher, true);
}
