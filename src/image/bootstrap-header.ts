import { viewOf } from "../base/bytes.ts";
import { DEVICE_SLOT_SIZE, type DeviceSlot, decodeDeviceSlot } from "../format/erofs/device-slot.ts";
import { decodeSuperblock, SUPERBLOCK_OFFSET, type Superblock } from "../format/erofs/superblock.ts";
import { BLOB_RECORD_SIZE, type BlobRecord, decodeBlobRecord } from "../format/rafs/blob-record.ts";
import {
  DEVICE_TABLE_SLOT,
  decodeExtendedSuperblock,
  EXTENDED_SUPERBLOCK_OFFSET,
  type ExtendedSuperblock,
  TABLE_ALIGNMENT,
} from "../format/rafs/extended-superblock.ts";
import { bootstrapError } from "./bootstrap-error.ts";
import { BOOTSTRAP_LIMITS } from "./bootstrap-limits.ts";
import { checkBlobRow, checkDevices } from "./check-blobs.ts";
import { checkExtendedSuperblock, checkSuperblock } from "./check-header.ts";
import { FindingList } from "./finding.ts";
import { refuseFindings } from "./refuse-findings.ts";

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
    const expected = `expected ${TABLE_ALIGNMENT} to ${BOOTSTRAP_LIMITS.size}`;
    throw bootstrapError("ERR_BOOTSTRAP_CORRUPT", `${bytes.length} bytes, ${expected}`);
  }
  const view = viewOf(bytes);
  const findings = new FindingList();
  try {
    const superblock = decodeSuperblock(view, SUPERBLOCK_OFFSET);
    checkSuperblock(superblock, bytes.length, findings);
    refuseFindings(findings, options);
    const extended = decodeExtendedSuperblock(view, EXTENDED_SUPERBLOCK_OFFSET);
    checkExtendedSuperblock(extended, superblock, bytes.length, findings);
    refuseFindings(findings, options);
    const blobs: BlobRecord[] = [];
    const devices: DeviceSlot[] = [];
    for (let index = 0; index < superblock.deviceCount; index++) {
      blobs.push(decodeBlobRecord(view, extended.blobTableOffset + index * BLOB_RECORD_SIZE));
      devices.push(decodeDeviceSlot(view, (DEVICE_TABLE_SLOT + index) * DEVICE_SLOT_SIZE));
    }
    for (const [index, blob] of blobs.entries()) checkBlobRow(blob, index, extended, findings);
    checkDevices(devices, blobs, 2 ** superblock.blockBits, findings);
    refuseFindings(findings, options);
    return { superblock, extended, blobs, devices };
  } catch (error) {
    if (error instanceof RangeError) throw bootstrapError("ERR_BOOTSTRAP_CORRUPT", error.message, error);
    throw error;
  }
}
