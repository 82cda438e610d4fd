import { readFileSync } from "node:fs";

/** A row of /proc/self/mountinfo. */
export interface MountRow {
  readonly mountpoint: string;
  /** `major:minor` of the filesystem; for FUSE the minor is the number of the connection. */
  readonly device: string;
  /** `fuse.nydus`, `erofs`, … */
  readonly type: string;
  readonly source: string;
}

/** Reads mountinfo(5) rows; those that do not parse are left out. */
export function parseMountTable(text: string): MountRow[] {
  const rows: MountRow[] = [];
  for (const line of text.split("\n")) {
    // 36 35 98:0 /root /mountpoint options optional... - type source super-options
    const [left, right] = line.split(" - ", 2);
    const [, , device, , mountpoint] = left?.split(" ") ?? [];
    const [type, source] = right?.split(" ") ?? [];
    if (device === undefined || mountpoint === undefined || type === undefined) continue;
    rows.push({ mountpoint: unescapePath(mountpoint), device, type, source: unescapePath(source ?? "") });
  }
  return rows;
}

/** The mounts at exactly `mountpoint`, the topmost last. Touches nothing inside them. */
export function listMounts(mountpoint: string): MountRow[] {
  return listAllMounts().filter((row) => row.mountpoint === mountpoint);
}

/** All mounts of this process's namespace, in the order in which they were made. */
export function listAllMounts(): MountRow[] {
  return parseMountTable(readFileSync("/proc/self/mountinfo", "utf8"));
}

/** The topmost mount at exactly `mountpoint`, if there is one. Touches nothing inside the mount. */
export function findMount(mountpoint: string): MountRow | undefined {
  return listMounts(mountpoint).at(-1);
}

/** The kernel writes space, tab, newline and backslash as three octal digits. */
function unescapePath(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}
