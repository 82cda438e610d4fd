import { writeFile } from "node:fs/promises";
import { MAX_READ } from "../native/fuse-device.ts";
import { findMount } from "./mount-table.ts";

/**
 * Lets the kernel read ahead in requests of the largest size, where 128 KiB is its default. Root only, best effort.
 *
 * @param mountpoint Of a FUSE filesystem.
 */
export async function widenReadAhead(mountpoint: string): Promise<void> {
  const device = findMount(mountpoint)?.device;
  if (device === undefined || process.getuid?.() !== 0) return;
  const file = `/sys/class/bdi/${device}/read_ahead_kb`;
  await writeFile(file, String(MAX_READ / 1024)).catch(() => undefined);
}
