import { isBlobId } from "../base/digest.ts";
import { chunkInformationRowSize, unsupportedBlobFeature } from "../format/blob/chunk-information.ts";
import { MAX_TOC_ROWS, TOC_ROW_SIZE } from "../format/blob/toc.ts";
import type { DeviceSlot } from "../format/erofs/device-slot.ts";
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
import type { FindingList } from "./finding.ts";

const CONTEXT_FEATURES = BLOB_FEATURES.BATCH | BLOB_FEATURES.ZRAN | BLOB_FEATURES.ENCRYPTED;

/** Checks one row of the blob table by itself. */
export function checkBlobRow(
  blob: BlobRecord,
  index: number,
  extended: ExtendedSuperblock,
  findings: FindingList,
): void {
  const where = `blob ${index}`;
  const { features } = blob;
  const has = (bit: number): boolean => (features & bit) !== 0;
  const isTarfs = (extended.flags & SUPER_FLAGS.TARFS) !== 0;
  if (has(BLOB_FEATURES_UNKNOWN)) {
    findings.add("blob-features-unknown", where, `features 0x${features.toString(16)} have unknown bits`);
  }
  const compressor = compressorOfNumber(blob.compressor) ?? "none";
  const unsupported = unsupportedBlobFeature({ features, compressor });
  if (unsupported !== undefined) findings.add("feature-unsupported", where, unsupported);
  else if (has(BLOB_FEATURES.SEPARATE))
    findings.add("feature-unsupported", where, "chunk information in a separate blob");
  else if (blob.cipher !== 0)
    findings.add("feature-unsupported", where, `encryption (cipher ${blob.cipher})`);
  // Ids reach file names, URLs and mount options: anything but 64 hex digits could name another file.
  if (blob.id === PLACEHOLDER_BLOB_ID && has(BLOB_FEATURES.INLINED_FS_META)) {
    findings.add("blob-id-placeholder", where, "the bootstrap is part of this blob and does not know its id");
  } else if (!isBlobId(blob.id)) {
    findings.add("blob-id-invalid", where, `id ${JSON.stringify(blob.id)} is not 64 hex digits`);
  }
  // nydusd then takes the id from the name of the bootstrap's file, whatever the row says.
  if (blob.id !== PLACEHOLDER_BLOB_ID && has(BLOB_FEATURES.INLINED_FS_META)) {
    findings.add("blob-marked-inlined", where, "has an id, but is marked as holding this bootstrap");
  }
  if (blob.index !== index) findings.add("blob-index-mismatch", where, `says it is blob ${blob.index}`);
  if (blob.chunkSize !== extended.chunkSize && !has(BLOB_FEATURES.EXTERNAL)) {
    const found = `chunk size ${blob.chunkSize}`;
    findings.add("blob-chunk-size-mismatch", where, `${found}, expected ${extended.chunkSize}`);
  }
  if (blob.chunkCount < 1 || blob.chunkCount > BOOTSTRAP_LIMITS.chunksPerBlob) {
    const expected = `expected 1 to ${BOOTSTRAP_LIMITS.chunksPerBlob}`;
    findings.add("blob-chunk-count-invalid", where, `${blob.chunkCount} chunks, ${expected}`);
  }
  for (const number of [blob.compressor, blob.chunkInformationCompressor]) {
    if (compressorOfNumber(number) === undefined) {
      findings.add("blob-compressor-unknown", where, `compressor ${number}`);
    }
  }
  if (digesterOfNumber(blob.digester) === undefined) {
    findings.add("blob-digester-unknown", where, `digester ${blob.digester}`);
  }
  const { storedSize, decodedSize } = blob;
  if (storedSize > BOOTSTRAP_LIMITS.storedSize || decodedSize > BOOTSTRAP_LIMITS.decodedSize) {
    findings.add("blob-size-invalid", where, `${storedSize} stored and ${decodedSize} decoded bytes`);
  }
  if (has(BLOB_FEATURES.ALIGNED) === isTarfs) {
    findings.add(
      "blob-alignment-invalid",
      where,
      `features 0x${features.toString(16)}: chunks are ${isTarfs ? "" : "not "}aligned`,
    );
  }
  const tocRows = (blob.tocSize - 512) / TOC_ROW_SIZE;
  if (blob.tocSize !== 0 && !(Number.isInteger(tocRows) && tocRows >= 1 && tocRows <= MAX_TOC_ROWS)) {
    findings.add("blob-toc-size-invalid", where, `table of contents of ${blob.tocSize} bytes`);
  }
  if (!isTarfs && !has(BLOB_FEATURES.EXTERNAL)) checkChunkInformation(blob, where, findings);
}

function checkChunkInformation(blob: BlobRecord, where: string, findings: FindingList): void {
  const { features } = blob;
  const hasContexts = (features & CONTEXT_FEATURES) !== 0;
  if (hasContexts && (features & BLOB_FEATURES.CHUNK_INFO_V2) === 0) {
    const what = "batch, zran or encryption without chunk information V2";
    findings.add("chunk-information-form-invalid", where, what);
  }
  const size = blob.chunkInformationDecodedSize;
  const expected = blob.chunkCount * chunkInformationRowSize(features);
  const isRelaxed = (features & BLOB_FEATURES.CHUNK_DICT_GENERATED) !== 0;
  if (!isRelaxed && (hasContexts ? size < expected : size !== expected)) {
    findings.add(
      "chunk-information-size-invalid",
      where,
      `${size} bytes of chunk information, expected ${expected}`,
    );
  }
  const stored = blob.chunkInformationStoredSize;
  if (stored > size) {
    findings.add(
      "chunk-information-size-invalid",
      where,
      `${stored} stored bytes of chunk information of ${size}`,
    );
  }
}

/** Checks the device table against the blob table: the kernel goes by the one, nydusd by the other. */
export function checkDevices(
  devices: readonly DeviceSlot[],
  blobs: readonly BlobRecord[],
  blockSize: number,
  findings: FindingList,
): void {
  const tags = new Map<string, number>();
  let mappedEnd = 0;
  for (const [index, device] of devices.entries()) {
    const where = `device ${index}`;
    const blob = blobs[index];
    if (device.tag !== blob?.id) {
      findings.add("device-tag-mismatch", where, `is ${JSON.stringify(device.tag)}, not ${blob?.id}`);
    }
    const known = tags.get(device.tag);
    if (known !== undefined) {
      findings.add("device-tag-duplicate", where, `repeats the id of device ${known}`);
    }
    tags.set(device.tag, index);
    const blocks = Math.floor((blob?.decodedSize ?? 0) / blockSize);
    if (device.blocks === 0) findings.add("device-blocks-zero", where, "0 blocks");
    else if (device.blocks !== blocks) {
      findings.add("device-blocks-mismatch", where, `${device.blocks} blocks, its blob has ${blocks}`);
    }
    if (device.mappedStartBlock < mappedEnd) {
      const found = `mapped at block ${device.mappedStartBlock}`;
      findings.add("device-mapping-overlap", where, `${found}, the one before ends at ${mappedEnd}`);
    }
    mappedEnd = device.mappedStartBlock + device.blocks;
  }
}
