import { DEVICE_SLOT_SIZE } from "../format/erofs/device-slot.ts";
import {
  COMPAT_RAFS_V6,
  EROFS_MAGIC,
  INCOMPAT_CHUNKED_FILE,
  INCOMPAT_DEVICE_TABLE,
  type Superblock,
} from "../format/erofs/superblock.ts";
import { BLOB_RECORD_SIZE } from "../format/rafs/blob-record.ts";
import { CHUNK_RECORD_SIZE } from "../format/rafs/chunk-record.ts";
import {
  DEVICE_TABLE_SLOT,
  type ExtendedSuperblock,
  prefetchTableSize,
  TABLE_ALIGNMENT,
} from "../format/rafs/extended-superblock.ts";
import {
  compressorOfFlags,
  digesterOfFlags,
  SUPER_FLAGS,
  SUPER_FLAGS_RESERVED,
} from "../format/rafs/features.ts";
import { PREFETCH_ROW_SIZE } from "../format/rafs/prefetch-table.ts";
import { BOOTSTRAP_LIMITS } from "./bootstrap-limits.ts";
import type { FindingList } from "./finding.ts";

const WHERE = "superblock";
/** The bit operators of JavaScript see the low 32 bits only. */
const KNOWN_FLAGS = Object.values(SUPER_FLAGS).reduce((bits, bit) => bits + bit, 0) + SUPER_FLAGS_RESERVED;

/** Checks the EROFS super-block as nydusd and the kernel do, before anything it points to is read. */
export function checkSuperblock(superblock: Superblock, size: number, findings: FindingList): void {
  const { blockBits } = superblock;
  if (superblock.magic !== EROFS_MAGIC) {
    findings.add("magic-invalid", WHERE, `magic 0x${superblock.magic.toString(16)}`);
  }
  if (superblock.checksum !== 0) {
    findings.add("checksum-set", WHERE, `checksum ${superblock.checksum}, expected 0`);
  }
  if ((superblock.featureCompat & COMPAT_RAFS_V6) === 0) {
    findings.add("rafs-mark-missing", WHERE, "a plain EROFS image, not RAFS v6");
  }
  if (blockBits !== 12 && blockBits !== 9) {
    findings.add("block-size-invalid", WHERE, `block size 2^${blockBits}, expected 4096`);
  } else if (blockBits === 9) {
    findings.add("feature-unsupported", WHERE, "tarfs (512-byte blocks)");
  }
  for (const [field, value] of [
    ["extension slots", superblock.extensionSlots],
    ["compression configuration", superblock.compressionConfig],
    ["shared xattr block", superblock.xattrStartBlock],
  ] as const) {
    if (value !== 0) findings.add("superblock-field-set", WHERE, `${field} ${value}, expected 0`);
  }
  const incompat = INCOMPAT_CHUNKED_FILE | INCOMPAT_DEVICE_TABLE;
  if (superblock.featureIncompat !== incompat) {
    const found = `0x${superblock.featureIncompat.toString(16)}`;
    findings.add(
      "incompat-features-invalid",
      WHERE,
      `features ${found}, expected 0x${incompat.toString(16)}`,
    );
  }
  if (superblock.inodeCount === 0) findings.add("inode-count-zero", WHERE, "0 inodes");
  if (superblock.rootNid === 0) findings.add("root-invalid", WHERE, "root nid 0");
  const blockSize = 2 ** blockBits;
  if (size % blockSize !== 0) {
    findings.add("image-size-invalid", WHERE, `${size} bytes, not a multiple of ${blockSize}`);
  }
  if (superblock.metaStartBlock * blockSize >= size) {
    findings.add("metadata-outside-image", WHERE, `metadata starts at block ${superblock.metaStartBlock}`);
  }
  if (superblock.deviceTableSlot !== DEVICE_TABLE_SLOT) {
    const found = `device table at slot ${superblock.deviceTableSlot}`;
    findings.add("device-table-misplaced", WHERE, `${found}, expected ${DEVICE_TABLE_SLOT}`);
  }
  if (superblock.deviceCount > BOOTSTRAP_LIMITS.blobs) {
    const what = `${superblock.deviceCount} devices, expected at most ${BOOTSTRAP_LIMITS.blobs}`;
    findings.add("limit-exceeded", WHERE, what);
  }
  if (superblock.deviceCount === 0 && superblock.blocks !== 0 && superblock.blocks !== 4096) {
    findings.add("blocks-without-devices", WHERE, `${superblock.blocks} blocks without devices`);
  }
}

/** Checks flags, chunk size and tables of the RAFS super-block. */
export function checkExtendedSuperblock(
  extended: ExtendedSuperblock,
  superblock: Superblock,
  size: number,
  findings: FindingList,
): void {
  const { flags, chunkSize } = extended;
  checkFlags(flags, findings);
  if ((flags & SUPER_FLAGS.TARFS) !== 0) findings.add("feature-unsupported", WHERE, "tarfs");
  if ((flags & SUPER_FLAGS.ENCRYPTION_AES_128_XTS) !== 0) {
    findings.add("feature-unsupported", WHERE, "encryption");
  }
  checkChunkSize(chunkSize, findings);
  const blobCount = Math.floor(extended.blobTableSize / BLOB_RECORD_SIZE);
  if (blobCount !== superblock.deviceCount) {
    findings.add("device-count-mismatch", WHERE, `${superblock.deviceCount} devices, ${blobCount} blobs`);
  }
  const headSize = (DEVICE_TABLE_SLOT + superblock.deviceCount) * DEVICE_SLOT_SIZE;
  checkTables(
    [
      {
        name: "blob table",
        offset: extended.blobTableOffset,
        size: extended.blobTableSize,
        rowSize: BLOB_RECORD_SIZE,
        alignment: TABLE_ALIGNMENT,
      },
      {
        name: "chunk table",
        offset: extended.chunkTableOffset,
        size: extended.chunkTableSize,
        rowSize: CHUNK_RECORD_SIZE,
        alignment: TABLE_ALIGNMENT,
      },
      {
        name: "prefetch table",
        offset: extended.prefetchTableOffset,
        size: prefetchTableSize(extended),
        rowSize: PREFETCH_ROW_SIZE,
        alignment: 8,
      },
    ],
    headSize,
    size,
    findings,
  );
}

/** Checks that super-block flags are known and name one compressor and one digester, v5 and v6. */
export function checkFlags(flags: number, findings: FindingList): void {
  const shown = `flags 0x${flags.toString(16)}`;
  if (flags >= 2 ** 32 || (flags & ~KNOWN_FLAGS) !== 0) {
    findings.add("super-flags-unknown", WHERE, `${shown} have unknown bits`);
  }
  if (compressorOfFlags(flags) === undefined) {
    findings.add("compressor-flags-invalid", WHERE, `${shown} do not name one compressor`);
  }
  if (digesterOfFlags(flags) === undefined) {
    findings.add("digester-flags-invalid", WHERE, `${shown} do not name one digester`);
  }
}

/** Checks the chunk size of an image, v5 and v6. */
export function checkChunkSize(chunkSize: number, findings: FindingList): void {
  const { minChunkSize, maxChunkSize } = BOOTSTRAP_LIMITS;
  if (chunkSize >= minChunkSize && chunkSize <= maxChunkSize && (chunkSize & (chunkSize - 1)) === 0) return;
  const expected = `expected a power of two from ${minChunkSize} to ${maxChunkSize}`;
  findings.add("chunk-size-invalid", WHERE, `chunk size ${chunkSize}, ${expected}`);
}

/** Where a table says it is. Offsets and sizes are bytes. */
export interface TableRow {
  readonly name: string;
  readonly offset: number;
  readonly size: number;
  readonly rowSize: number;
  readonly alignment: number;
}

/** Checks that tables are whole rows at their alignment, inside the image and apart from each other. */
export function checkTables(
  tables: readonly TableRow[],
  headSize: number,
  imageSize: number,
  findings: FindingList,
): void {
  let end = headSize;
  const filled = tables.filter((table) => table.size > 0);
  for (const table of filled.sort((left, right) => left.offset - right.offset)) {
    const where = `${table.name} at ${table.offset} of ${table.size} bytes`;
    if (table.size % table.rowSize !== 0) {
      findings.add("table-size-invalid", table.name, `${where} is no multiple of ${table.rowSize}`);
    }
    if (table.offset % table.alignment !== 0) {
      findings.add("table-misaligned", table.name, `${where} is not at a multiple of ${table.alignment}`);
    }
    if (table.offset < end)
      findings.add("tables-overlap", table.name, `${where} overlaps what ends at ${end}`);
    end = table.offset + table.size;
    if (end > imageSize) {
      findings.add(
        "table-outside-image",
        table.name,
        `${where} ends outside the image of ${imageSize} bytes`,
      );
    }
  }
}
