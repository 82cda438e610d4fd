import { closeSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CodedError } from "../base/errors.ts";
import { requireAddon } from "../native/addon.ts";
import { mountFuseDevice } from "../native/fuse-device.ts";
import { UNMOUNT_FLAGS } from "../native/mount-flags.ts";

const CONNECTIONS = "/sys/fs/fuse/connections";

/** A FUSE filesystem that is mounted, whoever answers it. */
export interface NodeConnection {
  /** /dev/fuse; as long as one process has it open, readers wait for answers. */
  readonly fd: number;
  /** Number of the connection in /sys/fs/fuse/connections. */
  readonly number: number;
}

/**
 * Mounts the node's FUSE filesystem at `directory`, over nothing: what was mounted there is taken away first.
 *
 * @param directory Absolute, without symbolic links; made when it is not there. Nothing looks into it, because nobody answers yet.
 * @throws {CodedError} ERR_ADDON_MISSING, ERR_MOUNT_FAILED.
 */
export async function openConnection(directory: string): Promise<NodeConnection> {
  await closeConnection(directory);
  makeMountpoint(directory);
  const fd = await mountFuseDevice(directory, { name: "nydus-node" });
  const number = findConnection(directory);
  if (number === undefined) {
    closeSync(fd);
    throw new CodedError("ERR_MOUNT_FAILED", `FUSE at ${directory} is gone`);
  }
  return { fd, number };
}

function makeMountpoint(directory: string): void {
  try {
    mkdirSync(directory, { mode: 0o700 });
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "EEXIST") return;
    throw new CodedError("ERR_MOUNT_FAILED", `folder ${directory}`, { cause });
  }
}

/** The FUSE connection that is mounted at a directory, by the mount table: a dead one would not answer stat(2). */
export function findConnection(directory: string): number | undefined {
  let found: number | undefined;
  for (const line of readFileSync("/proc/self/mountinfo", "utf8").split("\n")) {
    const [left, right] = line.split(" - ", 2);
    const [, , device, , mountpoint] = left?.split(" ") ?? [];
    if (mountpoint !== escapePath(directory) || right?.startsWith("fuse") !== true) continue;
    found = Number(device?.split(":")[1]);
  }
  return found;
}

/** Takes every mount at `directory` out of the tree, in use or not, and ends its connection. */
export async function closeConnection(directory: string): Promise<void> {
  const native = requireAddon("the node daemon");
  while (findConnection(directory) !== undefined) {
    try {
      await native.umount2(directory, UNMOUNT_FLAGS.FORCE | UNMOUNT_FLAGS.DETACH);
    } catch (cause) {
      throw new CodedError("ERR_MOUNT_FAILED", `unmounting ${directory}`, { cause });
    }
  }
}

/** Fails every request of a connection, those to come too. Processes that wait in it get an error. */
export function abortConnection({ number }: NodeConnection): void {
  try {
    writeFileSync(join(CONNECTIONS, String(number), "abort"), "1");
  } catch {
    // fusectl need not be mounted; the connection ends all the same when its last descriptor is closed.
  }
}

/** The kernel writes space, tab, newline and backslash as three octal digits. */
function escapePath(path: string): string {
  return path.replace(/[ \t\n\\]/g, (char) => `\\${char.charCodeAt(0).toString(8).padStart(3, "0")}`);
}
