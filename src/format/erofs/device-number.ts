/** Largest numbers the 32-bit form of a device number holds. */
export const MAX_DEVICE_MAJOR = 0xfff;
export const MAX_DEVICE_MINOR = 0xf_ffff;

/** Number of a character or block device. */
export interface DeviceNumber {
  readonly major: number;
  readonly minor: number;
}

/**
 * The device number that a u32 stands for in EROFS inodes and in FUSE attributes.
 *
 * Bits 0-7 and 20-31 are the minor, bits 8-19 the major number.
 *
 * @see Linux include/linux/kdev_t.h, new_decode_dev
 */
export function decodeDeviceNumber(number: number): DeviceNumber {
  return { major: (number >>> 8) & 0xfff, minor: (number & 0xff) | ((number >>> 12) & 0xf_ff00) };
}

/** The u32 form of a device number; both parts must be within their maximum. */
export function encodeDeviceNumber({ major, minor }: DeviceNumber): number {
  return ((minor & 0xff) | (major << 8) | ((minor & 0xf_ff00) << 12)) >>> 0;
}
