import { closeSync, constants, openSync } from "node:fs";
import { CodedError } from "../base/errors.ts";
import { requireAddon } from "./addon.ts";
import { MOUNT_FLAGS } from "./mount-flags.ts";

/** Bytes of the largest READ: 256 pages, what the kernel sends at most. */
export const MAX_READ = 2 ** 20;

/** Mount options of a FUSE filesystem of root's. */
export const FUSE_OPTIONS = `rootmode=40000,user_id=0,group_id=0,default_permissions,max_read=${MAX_READ}`;

/** How {@link mountFuseDevice} mounts. */
export interface FuseDeviceOptions {
  /**
   * Shown as the source in mount tables.
   *
   * @default "nydus"
   */
  readonly name?: string;
  /**
   * Whether users other than root may enter.
   *
   * @default true
   */
  readonly allowOther?: boolean;
}

/**
 * Opens /dev/fuse and mounts it, read-only, nosuid and nodev. Needs root. The kernel has queued INIT when this
 * returns: until somebody answers, who enters the mount waits.
 *
 * @param directory An absolute path of an existing directory, without symbolic links.
 * @returns The connection. Everybody who holds it, or a copy, keeps the mount alive; the caller closes it.
 * @throws {CodedError} ERR_MOUNT_FAILED, ERR_ADDON_MISSING.
 */
export async function mountFuseDevice(directory: string, options: FuseDeviceOptions = {}): Promise<number> {
  const native = requireAddon("mounting FUSE");
  const fd = openFuseDevice();
  try {
    const flags = MOUNT_FLAGS.RDONLY | MOUNT_FLAGS.NOSUID | MOUNT_FLAGS.NODEV;
    const other = (options.allowOther ?? true) ? ",allow_other" : "";
    await native.mount(
      options.name ?? "nydus",
      directory,
      "fuse.nydus",
      flags,
      `fd=${fd},${FUSE_OPTIONS}${other}`,
    );
    return fd;
  } catch (cause) {
    closeSync(fd);
    throw new CodedError("ERR_MOUNT_FAILED", `FUSE at ${directory}: ${(cause as Error).message}`, { cause });
  }
}

/**
 * Opens /dev/fuse: a connection that is not mounted yet.
 *
 * @throws {CodedError} ERR_MOUNT_FAILED.
 */
export function openFuseDevice(): number {
  try {
    return openSync("/dev/fuse", constants.O_RDWR);
  } catch (cause) {
    throw new CodedError("ERR_MOUNT_FAILED", "/dev/fuse", { cause });
  }
}
