import type { Compressor, Digester } from "../base/algorithm.ts";
import { viewOf } from "../base/bytes.ts";
import { isBlobId } from "../base/digest.ts";
import {
  BLOB_FEATURES,
  BLOB_FEATURES_UNKNOWN,
  compressorOfFlags,
  digesterOfFlags,
  SUPER_FLAGS,
} from "../format/rafs/features.ts";
import { decodePrefetchTable } from "../format/rafs/prefetch-table.ts";
import {
  decodeV5BlobTable,
  decodeV5ExtendedBlob,
  V5_EXTENDED_BLOB_SIZE,
  type V5Blob,
  type V5ExtendedBlob,
} from "../format/rafs/v5-blob-table.ts";
import { V5_INODE_SIZE } from "../format/rafs/v5-inode.ts";
import {
  decodeV5Superblock,
  V5_MAGIC,
  V5_SUPERBLOCK_SIZE,
  V5_VERSION,
  type V5Superblock,
} from "../format/rafs/v5-superblock.ts";
import type { ReadBootstrapOptions } from "./bootstrap.ts";
import { bootstrapError } from "./bootstrap-error.ts";
import { BOOTSTRAP_LIMITS } from "./bootstrap-limits.ts";

/** A blob of a v5 bootstrap; `extended` is absent in images of old builders. */
export interface V5BlobRow extends V5Blob {
  readonly extended: V5ExtendedBlob | undefined;
}

/** Super-block and tables of a v5 bootstrap, checked. */
export interface V5Tables {
  readonly superblock: V5Superblock;
  readonly compressor: Compressor;
  readonly digester: Digester;
  readonly blobs: readonly V5BlobRow[];
  /** Offset of the inode record of every name; name `n` (from 1) is row `n - 1`. */
  readonly inodeOffsets: Float64Array;
  /** Numbers of inode table rows (from 1), in order, up to the first 0. */
  readonly prefetch: readonly number[];
}

/** A table's place in the bootstrap, in bytes. */
interface TableRange {
  readonly name: string;
  readonly offset: number;
  readonly size: number;
  /** Bytes of a row; 1 for the blob table, whose rows end with a NUL. */
  readonly rowSize: number;
}

/** Where the tables of a v5 bootstrap lie; empty ones are left out. */
export function v5TableRanges(superblock: V5Superblock): TableRange[] {
  const range = (name: string, offset: number, rows: number, rowSize: number): TableRange => {
    return { name, offset, size: rows * rowSize, rowSize };
  };
  return [
    range("inode table", superblock.inodeTableOffset, superblock.inodeTableRows, 4),
    range("prefetch table", superblock.prefetchTableOffset, superblock.prefetchTableRows, 4),
    range("blob table", superblock.blobTableOffset, superblock.blobTableSize, 1),
    range(
      "extended blob table",
      superblock.extendedBlobTableOffset,
      superblock.extendedBlobTableRows,
      V5_EXTENDED_BLOB_SIZE,
    ),
  ].filter(({ size }) => size > 0);
}

/** True when `bytes` start as a v5 bootstrap does. */
export function isBootstrapV5(bytes: Uint8Array): boolean {
  return bytes.length >= 8 && viewOf(bytes).getUint32(0, true) === V5_MAGIC;
}

/**
 * Reads super-block and tables of a v5 bootstrap.
 *
 * @throws {CodedError} ERR_BOOTSTRAP_CORRUPT; ERR_FEATURE_UNSUPPORTED, naming the feature; ERR_LIMIT_EXCEEDED.
 */
export function readV5Tables(bytes: Uint8Array, options: ReadBootstrapOptions = {}): V5Tables {
  if (bytes.length < V5_SUPERBLOCK_SIZE || bytes.length > BOOTSTRAP_LIMITS.size) {
    throw corrupt(`${bytes.length} bytes, expected ${V5_SUPERBLOCK_SIZE} to ${BOOTSTRAP_LIMITS.size}`);
  }
  const view = viewOf(bytes);
  try {
    const superblock = decodeV5Superblock(view);
    checkSuperblock(superblock, bytes.length, options);
    const { flags } = superblock;
    const compressor = compressorOfFlags(flags);
    const digester = digesterOfFlags(flags);
    if (compressor === undefined || digester === undefined) {
      throw corrupt(`flags 0x${flags.toString(16)} do not name one compressor and one digester`);
    }
    return {
      superblock,
      compressor,
      digester,
      blobs: readBlobs(bytes, superblock, options),
      inodeOffsets: readInodeTable(view, superblock),
      prefetch: readPrefetch(view, superblock),
    };
  } catch (error) {
    if (error instanceof RangeError) throw corrupt(error.message, error);
    throw error;
  }
}

function checkSuperblock(superblock: V5Superblock, size: number, options: ReadBootstrapOptions): void {
  expect("magic", superblock.magic, V5_MAGIC);
  expect("version", superblock.version, V5_VERSION);
  expect("super-block size", superblock.size, V5_SUPERBLOCK_SIZE);
  const { chunkSize } = superblock;
  const { minChunkSize, maxChunkSize } = BOOTSTRAP_LIMITS;
  if (chunkSize < minChunkSize || chunkSize > maxChunkSize || (chunkSize & (chunkSize - 1)) !== 0) {
    throw corrupt(`chunk size ${chunkSize}, expected a power of two from ${minChunkSize} to ${maxChunkSize}`);
  }
  if (superblock.flags >= 2 ** 32) {
    throw bootstrapError("ERR_FEATURE_UNSUPPORTED", `RAFS flags 0x${superblock.flags.toString(16)}`);
  }
  if (options.allowUnsupported !== true && (superblock.flags & SUPER_FLAGS.ENCRYPTION_AES_128_XTS) !== 0) {
    throw bootstrapError("ERR_FEATURE_UNSUPPORTED", "encryption");
  }
  if (superblock.inodeTableRows < 1) throw corrupt("0 inodes");
  // A name takes a record, so rows beyond that only make readers allocate.
  if (superblock.inodeTableRows * V5_INODE_SIZE > size) {
    throw corrupt(`${superblock.inodeTableRows} inode table rows in ${size} bytes`);
  }
  if (superblock.inodeCount > superblock.inodeTableRows) {
    throw corrupt(`${superblock.inodeCount} inodes in ${superblock.inodeTableRows} inode table rows`);
  }
  let end = V5_SUPERBLOCK_SIZE;
  for (const table of v5TableRanges(superblock).sort((left, right) => left.offset - right.offset)) {
    const where = `${table.name} at ${table.offset} of ${table.size} bytes`;
    if (table.offset % 8 !== 0) throw corrupt(`${where} is not at a multiple of 8`);
    if (table.offset < end) throw corrupt(`${where} overlaps what ends at ${end}`);
    end = table.offset + table.size;
    if (end > size) throw corrupt(`${where} ends outside the image of ${size} bytes`);
  }
}

function readBlobs(bytes: Uint8Array, superblock: V5Superblock, options: ReadBootstrapOptions): V5BlobRow[] {
  const { blobTableOffset, blobTableSize, extendedBlobTableOffset, extendedBlobTableRows } = superblock;
  const table = bytes.subarray(blobTableOffset, blobTableOffset + blobTableSize);
  const blobs = decodeV5BlobTable(table, BOOTSTRAP_LIMITS.v5Blobs);
  if (extendedBlobTableRows !== 0 && extendedBlobTableRows !== blobs.length) {
    throw corrupt(`${extendedBlobTableRows} rows in the extended blob table of ${blobs.length} blobs`);
  }
  const view = viewOf(bytes);
  return blobs.map((blob, index) => {
    if (!isBlobId(blob.id)) {
      throw corrupt(`blob ${index}: id ${JSON.stringify(blob.id)} is not 64 hex digits`);
    }
    if (extendedBlobTableRows === 0) return { ...blob, extended: undefined };
    const extended = decodeV5ExtendedBlob(view, extendedBlobTableOffset + index * V5_EXTENDED_BLOB_SIZE);
    checkExtendedBlob(extended, index, options);
    return { ...blob, extended };
  });
}

function checkExtendedBlob(blob: V5ExtendedBlob, index: number, options: ReadBootstrapOptions): void {
  if ((blob.features & BLOB_FEATURES_UNKNOWN) !== 0) {
    throw bootstrapError(
      "ERR_FEATURE_UNSUPPORTED",
      `blob ${index}: features 0x${blob.features.toString(16)}`,
    );
  }
  for (const [bit, name] of [
    [BLOB_FEATURES.ENCRYPTED, "encryption"],
    [BLOB_FEATURES.EXTERNAL, "external blobs"],
  ] as const) {
    if (options.allowUnsupported !== true && (blob.features & bit) !== 0) {
      throw bootstrapError("ERR_FEATURE_UNSUPPORTED", `blob ${index}: ${name}`);
    }
  }
  if (blob.chunkCount > BOOTSTRAP_LIMITS.chunksPerBlob) {
    throw corrupt(
      `blob ${index}: ${blob.chunkCount} chunks, expected at most ${BOOTSTRAP_LIMITS.chunksPerBlob}`,
    );
  }
  if (blob.storedSize > BOOTSTRAP_LIMITS.storedSize || blob.decodedSize > BOOTSTRAP_LIMITS.decodedSize) {
    throw corrupt(`blob ${index}: ${blob.storedSize} stored and ${blob.decodedSize} decoded bytes`);
  }
}

function readInodeTable(view: DataView, superblock: V5Superblock): Float64Array {
  const offsets = new Float64Array(superblock.inodeTableRows);
  for (let row = 0; row < offsets.length; row++) {
    offsets[row] = view.getUint32(superblock.inodeTableOffset + row * 4, true) * 8;
  }
  return offsets;
}

function readPrefetch(view: DataView, superblock: V5Superblock): number[] {
  return superblock.prefetchTableRows === 0
    ? []
    : decodePrefetchTable(view, superblock.prefetchTableOffset, superblock.prefetchTableRows);
}

function expect(what: string, found: number, expected: number): void {
  if (found !== expected) throw corrupt(`${what} ${found}, expected ${expected}`);
}

function corrupt(what: string, cause?: unknown): Error {
  return bootstrapError("ERR_BOOTSTRAP_CORRUPT", what, cause);
}
