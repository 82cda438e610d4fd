import { spawnSync } from "node:child_process";
import { CodedError } from "../base/errors.ts";
import { addon } from "../native/addon.ts";
import { UNMOUNT_FLAGS } from "../native/mount-flags.ts";
import { findMount } from "./mount-table.ts";
import { runCommand } from "./run-command.ts";

/** What to do when somebody uses the mount: fail, or take it out of the tree and end its connection. */
export type UnmountMode = "refuse-busy" | "force";

/** Milliseconds that an exiting process waits for umount(8). */
const EXIT_TIMEOUT_MS = 5000;

/** For umount(8): no helper, no /etc/mtab, and no look at the path, which a dead mount would not answer. */
const UMOUNT_FLAGS = ["-i", "-n", "-c"] as const;

/**
 * Unmounts what is mounted at `mountpoint`: as root by umount2(2) or umount(8), else by fusermount3. Runs off the
 * JavaScript thread and never waits for an answer from the filesystem.
 *
 * @param mountpoint An absolute path without symbolic links; it is looked up in the mount table, not on the disk.
 * @throws {CodedError} ERR_PATH_NOT_FOUND when nothing is mounted there, ERR_MOUNT_FAILED when it is busy or not ours.
 */
export async function unmount(mountpoint: string, mode: UnmountMode = "refuse-busy"): Promise<void> {
  const row = findMount(mountpoint);
  if (row === undefined) throw new CodedError("ERR_PATH_NOT_FOUND", `nothing is mounted at ${mountpoint}`);
  const isFuse = row.type === "fuse" || row.type.startsWith("fuse.");
  const force = mode === "force";
  try {
    if (process.getuid?.() === 0) await unmountAsRoot(mountpoint, force, isFuse);
    else await unmountAsUser(mountpoint, force);
  } catch (cause) {
    const { message } = cause as Error;
    throw new CodedError("ERR_MOUNT_FAILED", `unmounting ${mountpoint}: ${message}`, { cause });
  }
}

async function unmountAsRoot(mountpoint: string, force: boolean, isFuse: boolean): Promise<void> {
  const native = addon();
  if (native !== undefined) {
    // FORCE means something to FUSE and network filesystems only; elsewhere it is refused or ignored.
    const flags = UNMOUNT_FLAGS.DETACH + (isFuse ? UNMOUNT_FLAGS.FORCE : 0);
    await native.umount2(mountpoint, force ? flags : 0);
    return;
  }
  const flags = force ? ["-l", ...(isFuse ? ["-f"] : [])] : [];
  await runOrThrow("umount", [...UMOUNT_FLAGS, ...flags, "--", mountpoint]);
}

async function unmountAsUser(mountpoint: string, force: boolean): Promise<void> {
  await runOrThrow("fusermount3", ["-u", ...(force ? ["-z"] : []), "--", mountpoint]);
}

async function runOrThrow(command: string, args: readonly string[]): Promise<void> {
  const { status, message } = await runCommand(command, args);
  if (status !== 0) throw new Error(`${command}: ${message}`);
}

/**
 * Takes a FUSE mount of this process away while the process exits, when no promise settles any more.
 *
 * @returns Whether the connection is over; else only the end of the process ends it.
 */
export function unmountAtExit(mountpoint: string): boolean {
  const run = (command: string, args: readonly string[]): boolean =>
    spawnSync(command, [...args, "--", mountpoint], { stdio: "ignore", timeout: EXIT_TIMEOUT_MS }).status ===
    0;
  if (process.getuid?.() === 0) return run("umount", [...UMOUNT_FLAGS, "-l", "-f"]);
  if (run("fusermount3", ["-u"])) return true;
  run("fusermount3", ["-u", "-z"]);
  return false;
}
