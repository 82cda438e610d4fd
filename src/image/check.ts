import { viewOf } from "../base/bytes.ts";
import { DEVICE_SLOT_SIZE, type DeviceSlot, decodeDeviceSlot } from "../format/erofs/device-slot.ts";
import { decodeSuperblock, SUPERBLOCK_OFFSET } from "../format/erofs/superblock.ts";
import { BLOB_RECORD_SIZE, type BlobRecord, decodeBlobRecord } from "../format/rafs/blob-record.ts";
import {
  DEVICE_TABLE_SLOT,
  decodeExtendedSuperblock,
  EXTENDED_SUPERBLOCK_OFFSET,
  prefetchTableSize,
  TABLE_ALIGNMENT,
} from "../format/rafs/extended-superblock.ts";
import { BLOB_FEATURES, SUPER_FLAGS } from "../format/rafs/features.ts";
import { decodePrefetchTable, PREFETCH_ROW_SIZE } from "../format/rafs/prefetch-table.ts";
import type { ReadBootstrapOptions } from "./bootstrap.ts";
import { BOOTSTRAP_LIMITS } from "./bootstrap-limits.ts";
import { isBootstrapV5 } from "./bootstrap-v5-tables.ts";
import { checkBlobRow, checkDevices } from "./check-blobs.ts";
import { ChunkRecordCheck } from "./check-chunk-records.ts";
import type { CheckContext } from "./check-context.ts";
import { checkExtendedSuperblock, checkSuperblock } from "./check-header.ts";
import { TreeCheck } from "./check-tree.ts";
import { checkBootstrapV5 } from "./check-v5.ts";
import { type Finding, FindingList } from "./finding.ts";

/**
 * Checks everything in a bootstrap, v5 or v6, that nydusd, the kernel and our readers rely on.
 *
 * An image without errors may be given to mount(2). Any bytes give findings, never an exception, in time
 * and memory that their length bounds. Where super-blocks or tables are wrong, what lies behind them is
 * not looked at.
 *
 * @param options `digest` verifies the inode digests of v5; `blobId` and `allowUnsupported` are of no effect.
 */
export function checkBootstrap(bytes: Uint8Array, options: ReadBootstrapOptions = {}): Finding[] {
  const findings = new FindingList();
  if (isBootstrapV5(bytes)) checkBootstrapV5(bytes, options, findings);
  else checkBootstrapV6(bytes, findings);
  return findings.toArray();
}

function checkBootstrapV6(bytes: Uint8Array, findings: FindingList): void {
  if (bytes.length < TABLE_ALIGNMENT || bytes.length > BOOTSTRAP_LIMITS.size) {
    findings.add("image-size-invalid", "image", `${bytes.length} bytes`);
    return;
  }
  const context = openContext(bytes, findings);
  if (context === undefined) return;
  const records = new ChunkRecordCheck(context);
  records.readRecords();
  const tree = new TreeCheck(context, records);
  tree.walk();
  if (findings.isFull) return;
  records.finish();
  if (context.extended.chunkTableSize === 0 && context.blobs.length > 0) {
    findings.add("chunk-table-missing", "chunk table", "chunks cannot be verified without their digests");
  }
  checkPrefetch(context, tree);
}

/** Checks super-blocks, tables, blobs and devices; undefined when they do not lead to a tree. */
function openContext(bytes: Uint8Array, findings: FindingList): CheckContext | undefined {
  const view = viewOf(bytes);
  try {
    const superblock = decodeSuperblock(view, SUPERBLOCK_OFFSET);
    const extended = decodeExtendedSuperblock(view, EXTENDED_SUPERBLOCK_OFFSET);
    checkSuperblock(superblock, bytes.length, findings);
    checkExtendedSuperblock(extended, superblock, bytes.length, findings);
    // Nothing behind these can be trusted to be where it says.
    if (findings.toArray().some(({ code }) => code !== "feature-unsupported")) return undefined;
    const blobs: BlobRecord[] = [];
    const devices: DeviceSlot[] = [];
    for (let index = 0; index < superblock.deviceCount; index++) {
      const blob = decodeBlobRecord(view, extended.blobTableOffset + index * BLOB_RECORD_SIZE);
      checkBlobRow(blob, index, extended, findings);
      blobs.push(blob);
      devices.push(decodeDeviceSlot(view, (DEVICE_TABLE_SLOT + index) * DEVICE_SLOT_SIZE));
    }
    const blockSize = 2 ** superblock.blockBits;
    checkDevices(devices, blobs, blockSize, findings);
    const hasDigests = blobs.every(({ features }) => (features & BLOB_FEATURES.INLINED_CHUNK_DIGEST) !== 0);
    if ((extended.flags & SUPER_FLAGS.INLINED_CHUNK_DIGEST) !== 0 && !hasDigests) {
      const what = "says that all blobs have chunk digests, but not all do";
      findings.add("digest-flag-without-feature", "superblock", what);
    }
    const metaOffset = superblock.metaStartBlock * blockSize;
    return { bytes, view, superblock, extended, blobs, blockSize, metaOffset, findings };
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    findings.add("number-too-large", "superblock", error.message);
    return undefined;
  }
}

function checkPrefetch({ view, extended, findings }: CheckContext, tree: TreeCheck): void {
  const count = Math.floor(prefetchTableSize(extended) / PREFETCH_ROW_SIZE);
  if (count === 0) return;
  for (const nid of decodePrefetchTable(view, extended.prefetchTableOffset, count)) {
    if (!tree.has(nid))
      findings.add("prefetch-nid-invalid", "prefetch table", `inode ${nid} is not in the tree`);
    if (findings.isFull) return;
  }
}
