import { isZero } from "../base/bytes.ts";
import { isBlobId } from "../base/digest.ts";
import { CodedError } from "../base/errors.ts";
import { type BlobRecord, PLACEHOLDER_BLOB_ID } from "../format/rafs/blob-record.ts";
import {
  BLOB_FEATURES,
  compressorNumber,
  compressorOfNumber,
  digesterNumber,
  digesterOfNumber,
} from "../format/rafs/features.ts";
import type { Blob } from "./chunk.ts";

const NO_DIGEST = new Uint8Array(32);

/**
 * Checks an id that a caller gives for a blob.
 *
 * @throws {CodedError} ERR_OPTION_INVALID when it is none; absence is sound.
 */
export function checkBlobId(blobId: string | undefined): void {
  if (blobId === undefined || isBlobId(blobId)) return;
  throw new CodedError("ERR_OPTION_INVALID", `blob id must be 64 hex digits, got ${JSON.stringify(blobId)}`);
}

/**
 * The blob that a checked row of a v6 blob table describes.
 *
 * @param blobId Replaces the placeholder of a blob with inlined metadata.
 */
export function blobOfRecord(record: BlobRecord, blobId?: string): Blob {
  const isPlaceholder = record.id === PLACEHOLDER_BLOB_ID;
  return {
    id: isPlaceholder && blobId !== undefined ? blobId : record.id,
    features: record.features,
    // The row was checked: every number below has a name.
    compressor: compressorOfNumber(record.compressor) ?? "none",
    digester: digesterOfNumber(record.digester) ?? "blake3",
    chunkSize: record.chunkSize,
    chunkCount: record.chunkCount,
    storedSize: record.storedSize,
    decodedSize: record.decodedSize,
    chunkInformation: {
      compressor: compressorOfNumber(record.chunkInformationCompressor) ?? "none",
      offset: record.chunkInformationOffset,
      storedSize: record.chunkInformationStoredSize,
      decodedSize: record.chunkInformationDecodedSize,
    },
    tocDigest: isZero(record.tocDigest) ? undefined : record.tocDigest,
    tocSize: record.tocSize,
  };
}

/**
 * The row that describes a blob.
 *
 * @param isInline Whether the bootstrap will be part of this blob, and so cannot name it.
 * @throws {CodedError} ERR_FEATURE_UNSUPPORTED when the blob has no chunk information array, as those of v5.
 */
export function recordOfBlob(blob: Blob, index: number, isInline: boolean): BlobRecord {
  const { chunkInformation } = blob;
  if (chunkInformation === undefined) {
    throw new CodedError(
      "ERR_FEATURE_UNSUPPORTED",
      `blob ${blob.id}: RAFS v6 needs a chunk information array`,
    );
  }
  const features = blob.features - (blob.features & BLOB_FEATURES.INLINED_FS_META);
  return {
    id: isInline ? PLACEHOLDER_BLOB_ID : blob.id,
    index,
    chunkSize: blob.chunkSize,
    chunkCount: blob.chunkCount,
    compressor: compressorNumber(blob.compressor),
    digester: digesterNumber(blob.digester),
    features: isInline ? features + BLOB_FEATURES.INLINED_FS_META : features,
    storedSize: blob.storedSize,
    decodedSize: blob.decodedSize,
    tocSize: blob.tocSize,
    chunkInformationCompressor: compressorNumber(chunkInformation.compressor),
    chunkInformationOffset: chunkInformation.offset,
    chunkInformationStoredSize: chunkInformation.storedSize,
    chunkInformationDecodedSize: chunkInformation.decodedSize,
    tocDigest: blob.tocDigest ?? NO_DIGEST,
    metaDigest: NO_DIGEST,
    metaSize: 0,
    cipher: 0,
  };
}
