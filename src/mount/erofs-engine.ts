import { closeSync } from "node:fs";
import { type Addon, requireAddon, type SystemError } from "../native/addon.ts";
import { MOUNT_ATTRIBUTES } from "../native/mount-flags.ts";
import { withWideReadAhead } from "./read-ahead.ts";

/** Why an image cannot be mounted by the kernel's EROFS, for people. */
export class ErofsUnusable extends Error {
  override readonly name = "ErofsUnusable";
}

/** The files that the kernel's EROFS reads an image from. Absolute paths. */
export interface ErofsFiles {
  readonly bootstrap: string;
  /** In the order of the device table. */
  readonly blobs: readonly string[];
}

/**
 * Mounts an image by the kernel's EROFS, read-only, nosuid and nodev. What this kernel can do is tried, not guessed from its version.
 *
 * @param mountpoint An absolute path of an existing directory, without symbolic links.
 * @returns How, for people.
 * @throws {ErofsUnusable} when this kernel, or the place of the files, does not allow it.
 * @throws {CodedError} ERR_ADDON_MISSING.
 */
export async function mountErofsFiles(files: ErofsFiles, mountpoint: string): Promise<string> {
  try {
    const native = requireAddon("mounting EROFS");
    return await withWideReadAhead(() => mountPaths(native, files, mountpoint));
  } catch (error) {
    // No files, or none that lie here.
    if ((error as SystemError).code === "ENOTBLK") return mountErofsLoops(files, mountpoint);
    throw unusable(error);
  }
}

async function mountPaths(native: Addon, files: ErofsFiles, mountpoint: string): Promise<string> {
  const attributes = MOUNT_ATTRIBUTES.RDONLY | MOUNT_ATTRIBUTES.NOSUID | MOUNT_ATTRIBUTES.NODEV;
  const options = [
    ["source", files.bootstrap] as const,
    ...files.blobs.map((path) => ["device", path] as const),
    ["ro", true] as const,
  ];
  try {
    // File pages are then cached once, not a second time under the device file.
    await native.mountConfigured("erofs", [...options, ["directio", true]], mountpoint, attributes);
    return "direct I/O";
  } catch (error) {
    if ((error as SystemError).code !== "EINVAL") throw error;
    await native.mountConfigured("erofs", options, mountpoint, attributes);
    return "no direct I/O on this kernel or disk";
  }
}

/**
 * {@link mountErofsFiles} with a loop device under each file, for kernels that mount block devices only (before 6.12).
 * The devices go with the mount.
 *
 * @throws {ErofsUnusable}
 * @throws {CodedError} ERR_ADDON_MISSING.
 */
export async function mountErofsLoops(files: ErofsFiles, mountpoint: string): Promise<string> {
  const native = requireAddon("mounting EROFS");
  const loops: { readonly path: string; readonly fd: number }[] = [];
  try {
    for (const file of [files.bootstrap, ...files.blobs]) loops.push(await native.attachLoop(file));
    const [bootstrap, ...blobs] = loops.map(({ path }) => path);
    await mountPaths(native, { bootstrap: bootstrap ?? "", blobs }, mountpoint);
    return "through loop devices";
  } catch (error) {
    throw unusable(error);
  } finally {
    // The mount keeps them now; without one they go.
    for (const { fd } of loops) closeSync(fd);
  }
}

function unusable(error: unknown): Error {
  const { code, message } = error as SystemError;
  if (code === undefined) return error as Error;
  return new ErofsUnusable(code === "ENODEV" ? "this kernel has no EROFS" : message);
}
