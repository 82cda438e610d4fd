import { alignUp } from "../../base/bytes.ts";
import { CodedError } from "../../base/errors.ts";
import {
  CHUNK_INFORMATION_HEADER_SIZE,
  type ChunkInformationHeader,
  decodeChunkInformationHeader,
  encodeChunkInformationHeader,
} from "./chunk-information-header.ts";

const PADDING = 4096;

/** The chunk information of one blob, as caches (`ID.blob.meta`) and bootstrap layers (`image/HEX.blob.meta`) keep it. */
export interface BlobMetaFile {
  readonly header: ChunkInformationHeader;
  /** The decoded array with its batch or zran rows, without padding: `header.decodedSize` bytes. */
  readonly chunkInformation: Uint8Array;
}

/** Bytes of the file for an array of `decodedSize` bytes. */
export function blobMetaFileSize(decodedSize: number): number {
  return alignUp(decodedSize, PADDING) + CHUNK_INFORMATION_HEADER_SIZE;
}

/**
 * Reads the file: the decoded array padded to 4096, then its header. The array is a view of `bytes`.
 *
 * @throws {CodedError} ERR_BLOB_CORRUPT when the header is not valid or the length is not what it says.
 */
export function decodeBlobMetaFile(bytes: Uint8Array): BlobMetaFile {
  if (bytes.length < CHUNK_INFORMATION_HEADER_SIZE) {
    throw new CodedError("ERR_BLOB_CORRUPT", `blob meta file has ${bytes.length} bytes`);
  }
  const header = decodeChunkInformationHeader(bytes.subarray(bytes.length - CHUNK_INFORMATION_HEADER_SIZE));
  const expected = blobMetaFileSize(header.decodedSize);
  if (bytes.length !== expected) {
    throw new CodedError("ERR_BLOB_CORRUPT", `blob meta file has ${bytes.length} bytes, not ${expected}`);
  }
  return { header, chunkInformation: bytes.subarray(0, header.decodedSize) };
}

/** The bytes of the file, the exact form nydusd expects in its cache folder. */
export function encodeBlobMetaFile(file: BlobMetaFile): Uint8Array {
  const { header, chunkInformation } = file;
  if (chunkInformation.length !== header.decodedSize) {
    throw new RangeError(
      `chunk information has ${chunkInformation.length} bytes, its header says ${header.decodedSize}`,
    );
  }
  const bytes = new Uint8Array(blobMetaFileSize(header.decodedSize));
  bytes.set(chunkInformation);
  bytes.set(encodeChunkInformationHeader(header), bytes.length - CHUNK_INFORMATION_HEADER_SIZE);
  return bytes;
}
