import { closeSync } from "node:fs";
import { CodedError } from "../base/errors.ts";
import { addon, requireAddon } from "../native/addon.ts";
import { FUSE_OPTIONS, MAX_READ, mountFuseDevice, openFuseDevice } from "../native/fuse-device.ts";
import { runCommand } from "./run-command.ts";

/** Milliseconds that fusermount3 may take to send the descriptor. */
const FUSERMOUNT_TIMEOUT_MS = 30_000;

/** How a FUSE filesystem is mounted. */
export interface ConnectionOptions {
  /** Shown as the source in mount tables. */
  readonly name: string;
  /** Whether users other than the mounting one may enter. For non-root it needs `user_allow_other` in fuse.conf. */
  readonly allowOther: boolean;
}

/**
 * Mounts a FUSE filesystem: as root by mount(2), or by mount(8) where the addon is missing; else by fusermount3.
 * The kernel has queued INIT when this returns; until that is answered, everybody who enters the mount waits.
 *
 * @param mountpoint An absolute path of an existing directory, without symbolic links.
 * @returns The connection; the caller closes it.
 * @throws {CodedError} ERR_MOUNT_FAILED; ERR_ADDON_MISSING when a user other than root mounts without the addon.
 */
export async function connectFuse(mountpoint: string, options: ConnectionOptions): Promise<number> {
  return process.getuid?.() === 0 ? connectAsRoot(mountpoint, options) : connectAsUser(mountpoint, options);
}

async function connectAsRoot(mountpoint: string, options: ConnectionOptions): Promise<number> {
  if (addon() !== undefined) return mountFuseDevice(mountpoint, options);
  const fd = openFuseDevice();
  try {
    await mountByCommand(mountpoint, fd, options);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

async function mountByCommand(mountpoint: string, fd: number, options: ConnectionOptions): Promise<void> {
  const list = `ro,nosuid,nodev,fd=3,${FUSE_OPTIONS}${options.allowOther ? ",allow_other" : ""}`;
  const args = ["-i", "-t", "fuse.nydus", "-o", list, "--", options.name, mountpoint];
  const { status, message } = await runCommand("mount", args, fd);
  if (status !== 0) throw new CodedError("ERR_MOUNT_FAILED", `mount ${args.join(" ")}: ${message}`);
}

async function connectAsUser(mountpoint: string, options: ConnectionOptions): Promise<number> {
  const native = requireAddon("mounting without root");
  const [ours, theirs] = native.socketpair();
  // Settled, never rejected: fusermount3's own message says more than "nothing came".
  const received = native
    .receiveFd(ours, FUSERMOUNT_TIMEOUT_MS)
    .catch((error: unknown) => failed(mountpoint, error));
  let status: number;
  let message: string;
  try {
    const other = options.allowOther ? ",allow_other" : "";
    // A comma in the name would end it: fusermount3 wants it escaped.
    const name = options.name.replace(/[\\,]/g, (char) => `\\${char}`);
    const list = `ro,nosuid,nodev,default_permissions,max_read=${MAX_READ},fsname=${name},subtype=nydus${other}`;
    const args = ["-o", list, "--", mountpoint];
    ({ status, message } = await runCommand("fusermount3", args, theirs, { _FUSE_COMMFD: "3" }));
  } finally {
    closeSync(theirs);
    // Not before receiveFd is done with it: the number could name another file by then. It is: the last sender has
    // closed.
    await received;
    closeSync(ours);
  }
  const fd = await received;
  if (typeof fd !== "number") {
    throw status === 0 ? fd : new CodedError("ERR_MOUNT_FAILED", `fusermount3: ${message}`);
  }
  if (status === 0) return fd;
  closeSync(fd);
  throw new CodedError("ERR_MOUNT_FAILED", `fusermount3: ${message}`);
}

function failed(mountpoint: string, cause: unknown): CodedError {
  if (cause instanceof CodedError) return cause;
  return new CodedError("ERR_MOUNT_FAILED", `FUSE at ${mountpoint}: ${(cause as Error).message}`, { cause });
}
