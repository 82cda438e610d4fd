import type { Compressor } from "../../base/algorithm.ts";
import { alignUp, viewOf } from "../../base/bytes.ts";
import { CodedError } from "../../base/errors.ts";
import { BLOB_FEATURES } from "../rafs/features.ts";
import {
  CHUNK_INFORMATION_V1_SIZE,
  decodeChunkInformationV1,
  encodeChunkInformationV1,
} from "./chunk-information-v1.ts";
import {
  CHUNK_INFORMATION_V2_SIZE,
  decodeChunkInformationV2,
  encodeChunkInformationV2,
} from "./chunk-information-v2.ts";
import {
  CHUNK_BATCH,
  CHUNK_COMPRESSED,
  CHUNK_ENCRYPTED,
  CHUNK_HAS_CRC32C,
  CHUNK_ZRAN,
  ChunkTable,
  DECODED_ALIGNMENT,
  MAX_CHUNK_COUNT,
  MAX_CHUNK_SIZE,
} from "./chunk-table.ts";

/** What must be known of a blob to judge its chunk information array. Sizes are bytes. */
export interface ChunkInformationShape {
  /** Bits of BLOB_FEATURES, from the blob table or the header of the array. */
  readonly features: number;
  /** How the chunks are compressed. */
  readonly compressor: Compressor;
  readonly chunkCount: number;
  /** Where the stored chunks end in the blob file: see {@link storedChunksEnd}. */
  readonly storedEnd: number;
  /** End of the decoded space. */
  readonly decodedSize: number;
}

/** The fields of a blob table row that say where its stored chunks end. */
export interface BlobExtent {
  readonly features: number;
  readonly storedSize: number;
  readonly chunkInformation: { readonly offset: number; readonly decodedSize: number } | undefined;
}

/** Feature bits of blobs whose chunks this toolkit does not read yet. */
const UNSUPPORTED_FEATURES: readonly (readonly [number, string])[] = [
  [BLOB_FEATURES.BATCH, "batch"],
  [BLOB_FEATURES.ZRAN, "zran"],
  [BLOB_FEATURES.ENCRYPTED, "encryption"],
  [BLOB_FEATURES.EXTERNAL, "external blobs"],
  [BLOB_FEATURES.TARFS, "tarfs"],
];

/**
 * Names what in a blob this toolkit cannot read chunks of; absent when it can.
 *
 * gzip with V1 rows is an eStargz reference: its stored sizes are guesses. With V2 rows it names the
 * blob of a plain tar too, whose chunks are raw.
 */
export function unsupportedBlobFeature(blob: {
  readonly features: number;
  readonly compressor: Compressor;
}): string | undefined {
  for (const [bit, name] of UNSUPPORTED_FEATURES) if ((blob.features & bit) !== 0) return name;
  if (blob.compressor === "gzip" && (blob.features & BLOB_FEATURES.CHUNK_INFO_V2) === 0) {
    return "gzip chunks of unknown size (eStargz)";
  }
  return undefined;
}

/**
 * Where the stored chunks of a blob end in its file, from its blob table row.
 *
 * The array follows the chunks, with a tar trailer between them where the blob has such; the recorded
 * stored size is of the whole file and counts only for blobs made before nydus 2.2 or without an array.
 *
 * @returns Bytes from the start of the blob file.
 */
export function storedChunksEnd(blob: BlobExtent): number {
  const { features, chunkInformation, storedSize } = blob;
  const isDerived =
    (features & BLOB_FEATURES.SEPARATE) === 0 &&
    (features & BLOB_FEATURES.CAP_TAR_TOC) !== 0 &&
    chunkInformation !== undefined &&
    chunkInformation.decodedSize > 0;
  if (!isDerived) return storedSize;
  const trailer = (features & BLOB_FEATURES.HAS_TAR_HEADER) !== 0 ? 512 : 0;
  return Math.max(0, chunkInformation.offset - trailer);
}

/** Bytes of one row of the array. */
export function chunkInformationRowSize(features: number): number {
  return (features & BLOB_FEATURES.CHUNK_INFO_V2) === 0
    ? CHUNK_INFORMATION_V1_SIZE
    : CHUNK_INFORMATION_V2_SIZE;
}

/**
 * Reads and checks a whole chunk information array.
 *
 * What is returned can be relied on: sizes are 1 to 16 MiB and inside the blob's spaces, the stored
 * ranges rise without overlap, the decoded ranges rise without gaps (each start rounded up to 4096).
 *
 * @param bytes The decoded array, exactly `chunkCount` rows.
 * @throws {CodedError} ERR_FEATURE_UNSUPPORTED for batch, zran, encrypted, external, tarfs and eStargz
 *   blobs, ERR_LIMIT_EXCEEDED for more than 2^24 chunks, ERR_BLOB_CORRUPT for anything else.
 */
export function decodeChunkTable(bytes: Uint8Array, shape: ChunkInformationShape): ChunkTable {
  const unsupported = unsupportedBlobFeature(shape);
  if (unsupported !== undefined) {
    throw new CodedError("ERR_FEATURE_UNSUPPORTED", `blob uses ${unsupported}`);
  }
  const { chunkCount, features } = shape;
  if (chunkCount > MAX_CHUNK_COUNT) {
    throw new CodedError("ERR_LIMIT_EXCEEDED", `blob has ${chunkCount} chunks, at most ${MAX_CHUNK_COUNT}`);
  }
  const rowSize = chunkInformationRowSize(features);
  if (bytes.length !== chunkCount * rowSize) {
    throw new CodedError(
      "ERR_BLOB_CORRUPT",
      `chunk information of ${chunkCount} chunks has ${bytes.length} bytes, not ${chunkCount * rowSize}`,
    );
  }
  const table = new ChunkTable(chunkCount);
  const view = viewOf(bytes);
  const decodeRow =
    rowSize === CHUNK_INFORMATION_V1_SIZE ? decodeChunkInformationV1 : decodeChunkInformationV2;
  for (let index = 0; index < chunkCount; index++) decodeRow(view, index * rowSize, table, index);
  for (const fault of chunkTableFaults(table, shape)) {
    throw new CodedError("ERR_BLOB_CORRUPT", fault.message);
  }
  return table;
}

/**
 * The decoded chunk information array of a table.
 *
 * @param features Bits of BLOB_FEATURES; CHUNK_INFO_V2 chooses the longer rows.
 * @throws {RangeError} when a chunk does not fit the form.
 */
export function encodeChunkTable(table: ChunkTable, features: number): Uint8Array {
  const rowSize = chunkInformationRowSize(features);
  const bytes = new Uint8Array(table.count * rowSize);
  const view = viewOf(bytes);
  const encodeRow =
    rowSize === CHUNK_INFORMATION_V1_SIZE ? encodeChunkInformationV1 : encodeChunkInformationV2;
  for (let index = 0; index < table.count; index++) encodeRow(view, index * rowSize, table, index);
  return bytes;
}

/** What is wrong with a row of a chunk table. */
interface ChunkTableFault {
  readonly index: number;
  readonly message: string;
}

/** Every chunk of `table` that breaks a rule of {@link decodeChunkTable}, in index order. */
function* chunkTableFaults(
  table: ChunkTable,
  shape: ChunkInformationShape,
): Generator<ChunkTableFault, void, void> {
  const decodedEnd = alignUp(shape.decodedSize, DECODED_ALIGNMENT);
  let nextStored = 0;
  let nextDecoded = 0;
  for (let index = 0; index < table.count; index++) {
    const storedOffset = table.storedOffsets[index] ?? 0;
    const storedSize = table.storedSizes[index] ?? 0;
    const decodedOffset = table.decodedOffsets[index] ?? 0;
    const decodedSize = table.decodedSizes[index] ?? 0;
    const message =
      flagFault(table, index) ??
      (storedSize < 1 || storedSize > MAX_CHUNK_SIZE || decodedSize < 1 || decodedSize > MAX_CHUNK_SIZE
        ? `has ${storedSize} stored and ${decodedSize} decoded bytes`
        : storedOffset < nextStored
          ? `is stored at ${storedOffset}, before ${nextStored} where the last one ends`
          : storedOffset + storedSize > shape.storedEnd
            ? `is stored up to ${storedOffset + storedSize}, over ${shape.storedEnd}`
            : decodedOffset !== nextDecoded
              ? `has decoded offset ${decodedOffset}, not ${nextDecoded}`
              : decodedOffset + decodedSize > decodedEnd
                ? `is decoded up to ${decodedOffset + decodedSize}, over ${decodedEnd}`
                : undefined);
    if (message !== undefined) yield { index, message: `chunk ${index} ${message}` };
    nextStored = storedOffset + storedSize;
    nextDecoded = decodedOffset + alignUp(decodedSize, DECODED_ALIGNMENT);
  }
}

function flagFault(table: ChunkTable, index: number): string | undefined {
  const flags = table.flags[index] ?? 0;
  if ((flags & (CHUNK_ZRAN | CHUNK_BATCH | CHUNK_ENCRYPTED)) !== 0) {
    return `has flags ${flags} that its blob's features do not announce`;
  }
  // Bits no version defines are only a warning to nydusd since 2.4.0, so they are let through here.
  if ((flags & CHUNK_COMPRESSED) === 0 && table.storedSizes[index] !== table.decodedSizes[index]) {
    return `is stored raw in ${table.storedSizes[index]} bytes, decoded in ${table.decodedSizes[index]}`;
  }
  if ((flags & CHUNK_HAS_CRC32C) !== 0 && table.crc32cs[index] === 0) return "has a CRC-32C of zero";
  return undefined;
}
