import { readdir, writeFile } from "node:fs/promises";
import { MAX_READ } from "../native/fuse-device.ts";
import { findMount } from "./mount-table.ts";

const DEVICES = "/sys/class/bdi";

/**
 * Lets the kernel read ahead in requests of the largest size, where 128 KiB is its default. Root only, best effort.
 *
 * @param mountpoint Of a FUSE filesystem.
 */
export async function widenReadAhead(mountpoint: string): Promise<void> {
  const device = findMount(mountpoint)?.device;
  if (device === undefined || process.getuid?.() !== 0) return;
  await widen(device);
}

/**
 * As {@link widenReadAhead}, for an EROFS over files: the kernel names what reads ahead for it `erofs-` and a number that
 * nothing connects with the mount, so that a mount made beside this one may be widened, too.
 *
 * @param mount Mounts it.
 */
export async function withWideReadAhead<Result>(mount: () => Promise<Result>): Promise<Result> {
  const before = new Set(await listErofsDevices());
  const result = await mount();
  const added = (await listErofsDevices()).filter((device) => !before.has(device));
  await Promise.all(added.map(widen));
  return result;
}

async function listErofsDevices(): Promise<string[]> {
  const devices = await readdir(DEVICES).catch((): string[] => []);
  return devices.filter((device) => device.startsWith("erofs-"));
}

async function widen(device: string): Promise<void> {
  await writeFile(`${DEVICES}/${device}/read_ahead_kb`, String(MAX_READ / 1024)).catch(() => undefined);
}
