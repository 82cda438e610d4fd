import { closeSync, constants, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CodedError } from "../base/errors.ts";
import { requireAddon } from "../native/addon.ts";

const MS_RDONLY = 1;
const MS_NOSUID = 2;
const MS_NODEV = 4;
const MNT_FORCE = 1;
const MNT_DETACH = 2;

/** Bytes of the largest READ. As in mount/fuse-handler.ts, which the supervisor does without. */
const MAX_READ = 2 ** 20;

const CONNECTIONS = "/sys/fs/fuse/connections";

/** A FUSE filesystem that is mounted, whoever answers it. */
export interface FuseDevice {
  /** /dev/fuse; as long as one process has it open, readers wait for answers. */
  readonly fd: number;
  /** Number of the connection in /sys/fs/fuse/connections. */
  readonly connection: number;
}

/**
 * Mounts the node's FUSE filesystem at `directory`, over nothing: what was mounted there is taken away first.
 *
 * @param directory Absolute, without symbolic links; nothing looks into it, because nobody answers yet.
 * @throws {CodedError} ERR_ADDON_MISSING, ERR_MOUNT_FAILED.
 */
export async function mountFuse(directory: string): Promise<FuseDevice> {
  const native = requireAddon("the node daemon");
  await unmountFuse(directory);
  let fd: number | undefined;
  try {
    fd = openSync("/dev/fuse", constants.O_RDWR);
    const owner = "rootmode=40000,user_id=0,group_id=0,default_permissions,allow_other";
    const options = `fd=${fd},${owner},max_read=${MAX_READ}`;
    await native.mount("nydus-node", directory, "fuse.nydus", MS_RDONLY | MS_NOSUID | MS_NODEV, options);
  } catch (cause) {
    if (fd !== undefined) closeSync(fd);
    throw new CodedError("ERR_MOUNT_FAILED", `FUSE at ${directory}`, { cause });
  }
  const connection = findConnection(directory);
  if (connection === undefined) throw new CodedError("ERR_MOUNT_FAILED", `FUSE at ${directory} is gone`);
  return { fd, connection };
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
export async function unmountFuse(directory: string): Promise<void> {
  const native = requireAddon("the node daemon");
  while (findConnection(directory) !== undefined) {
    try {
      await native.umount2(directory, MNT_FORCE | MNT_DETACH);
    } catch (cause) {
      throw new CodedError("ERR_MOUNT_FAILED", `unmounting ${directory}`, { cause });
    }
  }
}

/** Fails every request of a connection, those to come too. Processes that wait in it get an error. */
export function abortConnection({ connection }: FuseDevice): void {
  try {
    writeFileSync(join(CONNECTIONS, String(connection), "abort"), "1");
  } catch {
    // fusectl need not be mounted; the connection ends all the same when its last descriptor is closed.
  }
}

/** The kernel writes space, tab, newline and backslash as three octal digits. */
function escapePath(path: string): string {
  return path.replace(/[ \t\n\\]/g, (char) => `\\${char.charCodeAt(0).toString(8).padStart(3, "0")}`);
}
