import { createHash, randomBytes } from "node:crypto";
import { readFileSync, readlinkSync } from "node:fs";
import { lstat, opendir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";

/** After this many milliseconds without a write, what another machine or container made is taken for abandoned. */
const ABANDONED_AFTER = 24 * 60 * 60_000;

/**
 * A name for a temporary file or folder by which {@link removeAbandoned} can tell later whether the process that made
 * it still runs.
 *
 * The name holds a prefix, where process ids count (this boot, this pid namespace), the process and when it started.
 */
export function temporaryName(prefix: string): string {
  const { pid } = process;
  return `${prefix}${processPlace()}-${pid}-${startOf(pid) ?? 0}-${randomBytes(8).toString("hex")}`;
}

/**
 * Removes the files and folders of a directory that have a {@link temporaryName} with this prefix and whose process
 * is gone. Only what belongs to this user is touched. What cannot be removed stays: this is never a failure.
 *
 * A process of this machine and container is looked up; of others only the age of what they wrote is known.
 */
export async function removeAbandoned(directory: string, prefix: string): Promise<void> {
  try {
    for await (const { name } of await opendir(directory)) {
      const maker = name.startsWith(prefix) ? parseMaker(name.slice(prefix.length)) : undefined;
      if (maker === undefined) continue;
      const path = join(directory, name);
      if (await isAbandoned(path, maker)) await rm(path, { recursive: true, force: true });
    }
  } catch {
    // A directory that is not there or not readable has nothing to clean, or nothing that we may.
  }
}

interface Maker {
  readonly place: string;
  readonly pid: number;
  readonly start: number;
}

function parseMaker(text: string): Maker | undefined {
  const match = /^([0-9a-f]{8})-(\d{1,10})-(\d{1,15})-[0-9a-f]{16}$/.exec(text);
  if (match === null) return undefined;
  return { place: match[1] ?? "", pid: Number(match[2]), start: Number(match[3]) };
}

async function isAbandoned(path: string, { place, pid, start }: Maker): Promise<boolean> {
  const { uid, mtimeMs, isFolder } = await lstat(path).then((found) => ({
    uid: found.uid,
    mtimeMs: found.mtimeMs,
    isFolder: found.isDirectory(),
  }));
  // In a folder like /tmp others may choose such a name.
  if (uid !== process.getuid?.()) return false;
  // A process id is given again: only together with its start it is this one.
  if (start > 0 && place === processPlace()) return startOf(pid) !== start;
  let newest = mtimeMs;
  for (const name of isFolder ? await readdir(path) : []) {
    newest = Math.max(newest, (await lstat(join(path, name))).mtimeMs);
  }
  return Date.now() - newest > ABANDONED_AFTER;
}

/** Names the boot and the pid namespace of this process in 8 hex digits; all zero where there is no /proc. */
function processPlace(): string {
  try {
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8");
    const namespace = readlinkSync("/proc/self/ns/pid");
    return createHash("sha256").update(boot).update(namespace).digest("hex").slice(0, 8);
  } catch {
    return "00000000";
  }
}

/** When a process started, in clock ticks since boot; `undefined` when there is none of that id. */
function startOf(pid: number): number | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The program's name stands in parentheses and may hold anything; field 22 is the 20th behind it.
    return Number(text.slice(text.lastIndexOf(")") + 2).split(" ")[19]);
  } catch {
    return undefined;
  }
}
