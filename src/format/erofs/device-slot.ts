import { byteString, bytesOf } from "../../base/bytes.ts";

/** Bytes per row of the device table. */
export const DEVICE_SLOT_SIZE = 128;

/** Bytes of the tag. */
const TAG_SIZE = 64;

/** A row of the device table: the blob as the kernel sees it. */
export interface DeviceSlot {
  /** The blob's id, without the NULs that pad it. */
  readonly tag: string;
  /** Size of the decoded space in filesystem blocks. */
  readonly blocks: number;
  /** Where the device lies when everything is one flat device, in filesystem blocks. */
  readonly mappedStartBlock: number;
}

/**
 * Reads a row of the device table.
 *
 * On disk (little-endian): 64 bytes tag, u32 blocks, u32 mapped block address, 56 reserved.
 *
 * @throws {RangeError} when it does not fit in `view`.
 * @see Linux fs/erofs/erofs_fs.h, struct erofs_deviceslot
 */
export function decodeDeviceSlot(view: DataView, offset: number): DeviceSlot {
  const blocks = view.getUint32(offset + TAG_SIZE, true);
  const mappedStartBlock = view.getUint32(offset + TAG_SIZE + 4, true);
  const tag = byteString(new Uint8Array(view.buffer, view.byteOffset + offset, TAG_SIZE));
  return { tag: tag.replace(/\0+$/, ""), blocks, mappedStartBlock };
}

/**
 * Writes a row of the device table into zeroed bytes.
 *
 * @throws {RangeError} when it does not fit in `view` or the tag is longer than 64 bytes.
 */
export function encodeDeviceSlot(view: DataView, offset: number, slot: DeviceSlot): void {
  view.setUint32(offset + TAG_SIZE, slot.blocks, true);
  view.setUint32(offset + TAG_SIZE + 4, slot.mappedStartBlock, true);
  view.setUint32(offset + DEVICE_SLOT_SIZE - 4, 0, true);
  new Uint8Array(view.buffer, view.byteOffset + offset, TAG_SIZE).set(bytesOf(slot.tag));
}
