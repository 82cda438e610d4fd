import { isBlobId } from "../base/digest.ts";
import { CodedError, type ErrorCode } from "../base/errors.ts";
import { type BlobRecord, PLACEHOLDER_BLOB_ID } from "../format/rafs/blob-record.ts";
import type { ExtendedSuperblock } from "../format/rafs/extended-superblock.ts";
import {
  BLOB_FEATURES,
  BLOB_FEATURES_UNKNOWN,
  compressorOfNumber,
  digesterOfNumber,
  SUPER_FLAGS,
} from "../format/rafs/features.ts";
import { BOOTSTRAP_LIMITS } from "./bootstrap-limits.ts";

/** Features this release recognises but does not read, with the word for them in messages. */
const UNSUPPORTED: readonly (readonly [bit: number, name: string])[] = [
  [BLOB_FEATURES.ZRAN, "zran"],
  [BLOB_FEATURES.SEPARATE, "chunk information in a separate blob"],
  [BLOB_FEATURES.TARFS, "tarfs"],
  [BLOB_FEATURES.BATCH, "batch chunks"],
  [BLOB_FEATURES.ENCRYPTED, "encryption"],
  [BLOB_FEATURES.EXTERNAL, "external blobs"],
];

/** Bytes of a chunk information record, V1 and V2. */
const CHUNK_INFORMATION_SIZES = { v1: 16, v2: 24 } as const;

/**
 * Checks row `index` of a v6 blob table as nydusd does, and that the id may stand in file names and URLs.
 *
 * @throws {CodedError} ERR_BOOTSTRAP_CORRUPT; ERR_FEATURE_UNSUPPORTED, naming the feature.
 */
export function checkBlobRecord(
  blob: BlobRecord,
  index: number,
  extended: ExtendedSuperblock,
  options: { readonly allowUnsupported?: boolean },
): void {
  const fail = (code: ErrorCode, what: string): never => {
    throw new CodedError(code, `bootstrap: blob ${index}: ${what}`);
  };
  const { features } = blob;
  const has = (bit: number): boolean => (features & bit) !== 0;

  if (has(BLOB_FEATURES_UNKNOWN)) fail("ERR_FEATURE_UNSUPPORTED", `features 0x${features.toString(16)}`);
  if (options.allowUnsupported !== true) {
    for (const [bit, name] of UNSUPPORTED) if (has(bit)) fail("ERR_FEATURE_UNSUPPORTED", name);
    if (blob.cipher !== 0) fail("ERR_FEATURE_UNSUPPORTED", `encryption (cipher ${blob.cipher})`);
  }

  const isPlaceholder = blob.id === PLACEHOLDER_BLOB_ID && has(BLOB_FEATURES.INLINED_FS_META);
  if (!isPlaceholder && !isBlobId(blob.id)) {
    fail("ERR_BOOTSTRAP_CORRUPT", `id ${JSON.stringify(blob.id)} is not 64 hex digits`);
  }
  if (blob.index !== index) fail("ERR_BOOTSTRAP_CORRUPT", `says it is blob ${blob.index}`);
  if (blob.chunkSize !== extended.chunkSize && !has(BLOB_FEATURES.EXTERNAL)) {
    fail("ERR_BOOTSTRAP_CORRUPT", `chunk size ${blob.chunkSize}, expected ${extended.chunkSize}`);
  }
  if (blob.chunkCount > BOOTSTRAP_LIMITS.chunksPerBlob) {
    fail(
      "ERR_BOOTSTRAP_CORRUPT",
      `${blob.chunkCount} chunks, expected at most ${BOOTSTRAP_LIMITS.chunksPerBlob}`,
    );
  }
  for (const number of [blob.compressor, blob.chunkInformationCompressor]) {
    if (compressorOfNumber(number) === undefined) fail("ERR_FEATURE_UNSUPPORTED", `compressor ${number}`);
  }
  if (digesterOfNumber(blob.digester) === undefined) {
    fail("ERR_FEATURE_UNSUPPORTED", `digester ${blob.digester}`);
  }
  if (blob.storedSize > BOOTSTRAP_LIMITS.storedSize || blob.decodedSize > BOOTSTRAP_LIMITS.decodedSize) {
    fail("ERR_BOOTSTRAP_CORRUPT", `${blob.storedSize} stored and ${blob.decodedSize} decoded bytes`);
  }
  const isTarfs = (extended.flags & SUPER_FLAGS.TARFS) !== 0;
  if (has(BLOB_FEATURES.ALIGNED) === isTarfs) {
    fail(
      "ERR_BOOTSTRAP_CORRUPT",
      `features 0x${features.toString(16)}: chunks are ${isTarfs ? "" : "not "}aligned`,
    );
  }
  if (!isTarfs && !has(BLOB_FEATURES.EXTERNAL)) checkChunkInformation(blob, fail);
}

function checkChunkInformation(blob: BlobRecord, fail: (code: ErrorCode, what: string) => never): void {
  const { features } = blob;
  const isV2 = (features & BLOB_FEATURES.CHUNK_INFO_V2) !== 0;
  const hasTables = (features & (BLOB_FEATURES.BATCH | BLOB_FEATURES.ZRAN | BLOB_FEATURES.ENCRYPTED)) !== 0;
  if (hasTables && !isV2)
    fail("ERR_BOOTSTRAP_CORRUPT", "batch, zran or encryption without chunk information V2");
  const size = blob.chunkInformationDecodedSize;
  const expected = blob.chunkCount * (isV2 ? CHUNK_INFORMATION_SIZES.v2 : CHUNK_INFORMATION_SIZES.v1);
  const isRelaxed = (features & BLOB_FEATURES.CHUNK_DICT_GENERATED) !== 0;
  if (!isRelaxed && (hasTables ? size < expected : size !== expected)) {
    fail("ERR_BOOTSTRAP_CORRUPT", `${size} bytes of chunk information, expected ${expected}`);
  }
  if (blob.chunkInformationStoredSize > size) {
    fail(
      "ERR_BOOTSTRAP_CORRUPT",
      `${blob.chunkInformationStoredSize} stored bytes of chunk information of ${size}`,
    );
  }
}
