import { viewOf } from "../base/bytes.ts";
import type { CodedError } from "../base/errors.ts";
import { DEVICE_SLOT_SIZE, type DeviceSlot, decodeDeviceSlot } from "../format/erofs/device-slot.ts";
import {
  COMPAT_RAFS_V6,
  decodeSuperblock,
  EROFS_MAGIC,
  INCOMPAT_CHUNKED_FILE,
  INCOMPAT_DEVICE_TABLE,
  SUPERBLOCK_OFFSET,
  type Superblock,
} from "../format/erofs/superblock.ts";
import { BLOB_RECORD_SIZE, type BlobRecord, decodeBlobRecord } from "../format/rafs/blob-record.ts";
import { CHUNK_RECORD_SIZE } from "../format/rafs/chunk-record.ts";
import {
  decodeExtendedSuperblock,
  EXTENDED_SUPERBLOCK_OFFSET,
  EXTENDED_SUPERBLOCK_SIZE,
  type ExtendedSuperblock,
} from "../format/rafs/extended-superblock.ts";
import {
  compressorOfFlags,
  digesterOfFlags,
  SUPER_FLAGS,
  SUPER_FLAGS_RESERVED,
} from "../format/rafs/features.ts";
import { PREFETCH_ROW_SIZE } from "../format/rafs/prefetch-table.ts";
import { checkBlobRecord } from "./blob-record-check.ts";
import { bootstrapError } from "./bootstrap-error.ts";
import { BOOTSTRAP_LIMITS } from "./bootstrap-limits.ts";

/** Where the device table of RAFS starts, in units of its slots: right behind both super-blocks. */
export const DEVICE_TABLE_SLOT = 11;

/** Tables start at a multiple of this, whatever the block size. */
export const TABLE_ALIGNMENT = 4096;

/** Everything in a v6 bootstrap that is not the tree, as stored. */
export interface BootstrapHeader {
  readonly superblock: Superblock;
  readonly extended: ExtendedSuperblock;
  readonly blobs: readonly BlobRecord[];
  readonly devices: readonly DeviceSlot[];
}

/** How to read the header of a bootstrap. */
export interface HeaderOptions {
  /**
   * Accept images whose chunks this release cannot read (tarfs, zran, batch, encryption, external blobs), to list them.
   *
   * @default false
   */
  readonly allowUnsupported?: boolean;
}

/**
 * Reads and checks super-blocks, device table and blob table of a v6 bootstrap.
 * The time it takes depends on the number of blobs, at most 254, only.
 *
 * @throws {CodedError} ERR_BOOTSTRAP_CORRUPT; ERR_FEATURE_UNSUPPORTED, naming the feature.
 */
export function readBootstrapHeader(bytes: Uint8Array, options: HeaderOptions = {}): BootstrapHeader {
  if (bytes.length < TABLE_ALIGNMENT || bytes.length > BOOTSTRAP_LIMITS.size) {
    throw corrupt(`${bytes.length} bytes, expected ${TABLE_ALIGNMENT} to ${BOOTSTRAP_LIMITS.size}`);
  }
  const view = viewOf(bytes);
  try {
    const superblock = decodeSuperblock(view, SUPERBLOCK_OFFSET);
    checkSuperblock(superblock, bytes.length, options);
    const extended = decodeExtendedSuperblock(view, EXTENDED_SUPERBLOCK_OFFSET);
    checkExtendedSuperblock(extended, superblock, bytes.length, options);
    const blobs = Array.from({ length: superblock.deviceCount }, (_, index) =>
      decodeBlobRecord(view, extended.blobTableOffset + index * BLOB_RECORD_SIZE),
    );
    const devices = blobs.map((_, index) =>
      decodeDeviceSlot(view, (DEVICE_TABLE_SLOT + index) * DEVICE_SLOT_SIZE),
    );
    blobs.forEach((blob, index) => {
      checkBlobRecord(blob, index, extended, options);
    });
    checkDevices(devices, blobs);
    return { superblock, extended, blobs, devices };
  } catch (error) {
    if (error instanceof RangeError) throw corrupt(error.message, error);
    throw error;
  }
}

function checkSuperblock(superblock: Superblock, size: number, options: HeaderOptions): void {
  const { blockBits } = superblock;
  if (superblock.magic !== EROFS_MAGIC) {
    throw corrupt(`magic 0x${superblock.magic.toString(16)}, expected 0x${EROFS_MAGIC.toString(16)}`);
  }
  expect("checksum", superblock.checksum, 0);
  if ((superblock.featureCompat & COMPAT_RAFS_V6) === 0) {
    throw unsupported("plain EROFS image, not RAFS v6");
  }
  if (blockBits === 9 && options.allowUnsupported !== true) throw unsupported("tarfs (512-byte blocks)");
  if (blockBits !== 12 && blockBits !== 9) throw corrupt(`block bits ${blockBits}, expected 12`);
  expect("extension slots", superblock.extensionSlots, 0);
  const incompat = INCOMPAT_CHUNKED_FILE | INCOMPAT_DEVICE_TABLE;
  if (superblock.featureIncompat !== incompat) {
    throw unsupported(
      `EROFS features 0x${superblock.featureIncompat.toString(16)}, expected 0x${incompat.toString(16)}`,
    );
  }
  expect("compression configuration", superblock.compressionConfig, 0);
  expect("shared xattr block", superblock.xattrStartBlock, 0);
  expect("device table slot", superblock.deviceTableSlot, DEVICE_TABLE_SLOT);
  if (superblock.inodeCount === 0) throw corrupt("0 inodes");
  if (superblock.rootNid === 0) throw corrupt("root nid 0");
  if (superblock.deviceCount > BOOTSTRAP_LIMITS.blobs) {
    throw corrupt(`${superblock.deviceCount} devices, expected at most ${BOOTSTRAP_LIMITS.blobs}`);
  }
  const blockSize = 2 ** blockBits;
  if (size % blockSize !== 0) throw corrupt(`${size} bytes, not a multiple of ${blockSize}`);
  if (superblock.metaStartBlock * blockSize >= size) {
    throw corrupt(`metadata starts at block ${superblock.metaStartBlock}, outside the image`);
  }
}

function checkExtendedSuperblock(
  extended: ExtendedSuperblock,
  superblock: Superblock,
  size: number,
  options: HeaderOptions,
): void {
  const { flags, chunkSize } = extended;
  const known = Object.values(SUPER_FLAGS).reduce((bits, bit) => bits + bit, 0) + SUPER_FLAGS_RESERVED;
  // The bit operators of JavaScript see the low 32 bits only.
  if (flags >= 2 ** 32 || (flags & ~known) !== 0) throw unsupported(`RAFS flags 0x${flags.toString(16)}`);
  if (compressorOfFlags(flags) === undefined || digesterOfFlags(flags) === undefined) {
    throw corrupt(`flags 0x${flags.toString(16)} do not name one compressor and one digester`);
  }
  if (options.allowUnsupported !== true) {
    if ((flags & SUPER_FLAGS.TARFS) !== 0) throw unsupported("tarfs");
    if ((flags & SUPER_FLAGS.ENCRYPTION_AES_128_XTS) !== 0) throw unsupported("encryption");
  }
  const { minChunkSize, maxChunkSize } = BOOTSTRAP_LIMITS;
  if (chunkSize < minChunkSize || chunkSize > maxChunkSize || (chunkSize & (chunkSize - 1)) !== 0) {
    throw corrupt(`chunk size ${chunkSize}, expected a power of two from ${minChunkSize} to ${maxChunkSize}`);
  }
  expect("blob table size", extended.blobTableSize, superblock.deviceCount * BLOB_RECORD_SIZE);
  checkTables(extended, superblock.deviceCount, size);
}

/** A stretch of the image that belongs to one table. */
interface TableRange {
  readonly name: string;
  readonly start: number;
  readonly size: number;
  readonly rowSize: number;
  readonly alignment: number;
}

function checkTables(extended: ExtendedSuperblock, deviceCount: number, size: number): void {
  const headSize = (DEVICE_TABLE_SLOT + deviceCount) * DEVICE_SLOT_SIZE;
  const tables: TableRange[] = [
    {
      name: "blob table",
      start: extended.blobTableOffset,
      size: extended.blobTableSize,
      rowSize: BLOB_RECORD_SIZE,
      alignment: TABLE_ALIGNMENT,
    },
    {
      name: "chunk table",
      start: extended.chunkTableOffset,
      size: extended.chunkTableSize,
      rowSize: CHUNK_RECORD_SIZE,
      alignment: TABLE_ALIGNMENT,
    },
    {
      name: "prefetch table",
      start: extended.prefetchTableOffset,
      size: extended.prefetchTableSize,
      rowSize: PREFETCH_ROW_SIZE,
      alignment: 8,
    },
    // Old builders left a size in the header without a prefetch table.
  ].filter((table) => table.size > 0 && (table.name !== "prefetch table" || table.start > 0));
  let end = Math.max(headSize, EXTENDED_SUPERBLOCK_OFFSET + EXTENDED_SUPERBLOCK_SIZE);
  for (const table of tables.sort((left, right) => left.start - right.start)) {
    const where = `${table.name} at ${table.start} of ${table.size} bytes`;
    if (table.start % table.alignment !== 0 || table.size % table.rowSize !== 0) {
      throw corrupt(`${where} is not in multiples of ${table.alignment} and ${table.rowSize}`);
    }
    if (table.start < end) throw corrupt(`${where} overlaps what ends at ${end}`);
    end = table.start + table.size;
    if (end > size) throw corrupt(`${where} ends outside the image of ${size} bytes`);
  }
}

function checkDevices(devices: readonly DeviceSlot[], blobs: readonly BlobRecord[]): void {
  const tags = new Set<string>();
  devices.forEach((device, index) => {
    const blob = blobs[index];
    if (device.tag !== blob?.id) {
      throw corrupt(
        `device ${index} is ${JSON.stringify(device.tag)}, blob ${index} ${JSON.stringify(blob?.id)}`,
      );
    }
    if (device.blocks === 0) throw corrupt(`device ${index} has 0 blocks`);
    if (tags.has(device.tag)) throw corrupt(`device ${index} repeats id ${device.tag}`);
    tags.add(device.tag);
  });
}

function expect(what: string, found: number, expected: number): void {
  if (found !== expected) throw corrupt(`${what} ${found}, expected ${expected}`);
}

function unsupported(feature: string): CodedError {
  return bootstrapError("ERR_FEATURE_UNSUPPORTED", feature);
}

function corrupt(what: string, cause?: unknown): CodedError {
  return bootstrapError("ERR_BOOTSTRAP_CORRUPT", what, cause);
}
