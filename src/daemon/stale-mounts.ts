import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { listMounts, type MountRow } from "../mount/mount-table.ts";
import { unmountImage } from "../mount/node-engines.ts";

/** Mounts at one place that are taken away: no image of ours was ever mounted more often. */
const MAX_LAYERS = 16;

/**
 * Takes away what a dead daemon left at a mountpoint: mounts that only answer with errors. Nothing else that may be
 * mounted there is touched.
 *
 * @returns Ids of processes, one for each mount namespace in which somebody still uses one of them; undefined when there
 *   was nothing to take away.
 */
export async function cleanStaleMount(mountpoint: string): Promise<readonly number[] | undefined> {
  const users = new Set<number>();
  let isFound = false;
  for (let round = 0; round < MAX_LAYERS; round++) {
    const row = listMounts(mountpoint).at(-1);
    if (row === undefined || !isOurs(row)) break;
    isFound = true;
    for (const pid of findUsers(row)) users.add(pid);
    await unmountImage(mountpoint);
  }
  return isFound ? [...users] : undefined;
}

/** Whether a row can be a mount of an image: the state file says that it was, at this mountpoint. */
function isOurs({ type }: MountRow): boolean {
  return type === "fuse.nydus" || type === "erofs";
}

/**
 * Processes whose mount namespace has a mount elsewhere on the same filesystem, or an overlay over it: a container's
 * root. The kernel keeps a filesystem as long as one of them lives.
 */
function findUsers({ device, mountpoint }: MountRow): number[] {
  const users: number[] = [];
  const seen = new Set<string>();
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    const table = readTableOnce(pid, seen);
    const uses = table?.split("\n").some((line) => {
      const fields = line.split(" ");
      const isElsewhere = fields[2] === device && fields[4] !== mountpoint;
      // Layers of an overlay stand between colons and commas.
      const isBelow =
        line.includes(" - overlay ") && / lowerdir=|,lowerdir=/.test(line) && overlays(line, mountpoint);
      return isElsewhere || isBelow;
    });
    if (uses === true) users.push(Number(pid));
  }
  return users;
}

function overlays(line: string, mountpoint: string): boolean {
  const layers = /lowerdir=([^, ]*)/.exec(line)?.[1]?.split(":") ?? [];
  return layers.some((layer) => layer === mountpoint || layer.startsWith(`${mountpoint}/`));
}

/** The mount table of a process, for the first process of each namespace. */
function readTableOnce(pid: string, seen: Set<string>): string | undefined {
  try {
    const namespace = readlinkSync(join("/proc", pid, "ns", "mnt"));
    if (seen.has(namespace)) return undefined;
    const table = readFileSync(join("/proc", pid, "mountinfo"), "utf8");
    seen.add(namespace);
    return table;
  } catch {
    // The process has ended, or is not ours to look at.
    return undefined;
  }
}
