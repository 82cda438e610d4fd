import type { Compressor, Digester } from "../base/algorithm.ts";

/** A run of file bytes and where it lies. Offsets and sizes are bytes. */
export interface Chunk {
  /** Row of the blob in {@link Image.blobs}, or {@link HOLE}. */
  readonly blobIndex: number;
  /** Position in the chunk information array of the blob. */
  readonly index: number;
  /** 32 bytes over the decoded bytes; absent where the image does not record one (no chunk table). */
  readonly digest: Uint8Array | undefined;
  /** Where the chunk starts in the decoded space of the blob, a multiple of 4096 in RAFS v6. */
  readonly decodedOffset: number;
  readonly decodedSize: number;
  /** Where the chunk starts in the blob file; absent where only the chunk information array knows. */
  readonly storedOffset: number | undefined;
  readonly storedSize: number | undefined;
  /** CRC-32C of the decoded bytes, where recorded. Never replaces the digest. */
  readonly crc32c: number | undefined;
}

/** The blob index of a hole: bytes that no blob has, which are zeros. Nydus knows none, and none is written. */
export const HOLE = -1;

/** A hole in the place of a chunk of `size` bytes. */
export function holeOf(size: number): Chunk {
  return {
    blobIndex: HOLE,
    index: 0,
    digest: undefined,
    decodedOffset: 0,
    decodedSize: size,
    storedOffset: undefined,
    storedSize: undefined,
    crc32c: undefined,
  };
}

/** Where the chunk information array (CI) of a blob lies in the blob file. */
export interface ChunkInformationLocation {
  readonly compressor: Compressor;
  readonly offset: number;
  readonly storedSize: number;
  readonly decodedSize: number;
}

/** A file of chunks, as the blob table of a bootstrap describes it. */
export interface Blob {
  /** 64 hex digits: sha256 of the blob file. */
  readonly id: string;
  /** Bits of BLOB_FEATURES (format/rafs/features.ts). */
  readonly features: number;
  readonly compressor: Compressor;
  readonly digester: Digester;
  readonly chunkSize: number;
  readonly chunkCount: number;
  /** The blob table's compressed_size: see rafs-format 3.2. */
  readonly storedSize: number;
  /** End of the decoded space. */
  readonly decodedSize: number;
  /** Absent in RAFS v5. */
  readonly chunkInformation: ChunkInformationLocation | undefined;
  /** sha256 over table of contents and its tar header; absent when the blob table does not record it. */
  readonly tocDigest: Uint8Array | undefined;
  /** Bytes of the table of contents with its tar header; 0 when not recorded. */
  readonly tocSize: number;
}
