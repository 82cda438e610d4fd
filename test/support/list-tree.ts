/**
 * A program: prints the tree at a path, one JSON object per line, as `nydus-convert ls --json --digest` does, with
 * `ino` and `blocks` beside. Tests run it as a process of its own: a thread that answers a mount must not walk it.
 */
import { createHash } from "node:crypto";
import { lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { type Addon, addon, type SystemError } from "#src/native/addon.js";

const TYPES: Readonly<Record<number, string>> = {
  1: "fifo",
  2: "char",
  4: "dir",
  6: "block",
  8: "file",
  10: "symlink",
  12: "socket",
};

const root = Buffer.from(process.argv[2] ?? ".");
const firstPaths = new Map<bigint, string>();

function join(directory: Buffer, name: Buffer): Buffer {
  return Buffer.concat([directory, Buffer.from("/"), name]);
}

function xattrsOf(path: Buffer): Record<string, string> | undefined {
  const native = addon();
  if (native === undefined) return undefined;
  const names = xattrNames(native, path).map((name) => Buffer.from(name).toString("latin1"));
  if (names.length === 0) return undefined;
  const values = names.sort().map((name) => {
    const value = native.lgetxattr(path, Buffer.from(name, "latin1"));
    return [name, Buffer.from(value).toString("hex")] as const;
  });
  return Object.fromEntries(values);
}

/** A mount of an image without any xattrs says that it does not have the call. */
function xattrNames(native: Addon, path: Buffer): Uint8Array[] {
  try {
    return native.llistxattr(path);
  } catch (error) {
    if ((error as SystemError).code === "ENOTSUP") return [];
    throw error;
  }
}

function rowOf(path: Buffer, name: string): Record<string, unknown> {
  const stat = lstatSync(path, { bigint: true });
  const type = TYPES[Number(stat.mode) >>> 12] ?? "unknown";
  const first = firstPaths.get(stat.ino);
  if (first === undefined) firstPaths.set(stat.ino, name);
  const xattrs = xattrsOf(path);
  const device = Number(stat.rdev);
  const major = (device >>> 8) & 0xfff;
  const minor = (device & 0xff) | ((device >>> 12) & 0xfff00);
  return {
    path: name,
    type,
    mode: (Number(stat.mode) & 0o7777).toString(8).padStart(4, "0"),
    uid: Number(stat.uid),
    gid: Number(stat.gid),
    mtimeNs: String(stat.mtimeNs),
    ...(type === "dir" ? {} : { nlink: Number(stat.nlink) }),
    ...(stat.nlink > 1n && type !== "dir" ? { link: first ?? name } : {}),
    ...(type === "file"
      ? { size: Number(stat.size), sha256: createHash("sha256").update(readFileSync(path)).digest("hex") }
      : {}),
    ...(type === "symlink" ? { target: readlinkSync(path, "buffer").toString("latin1") } : {}),
    ...(type === "char" || type === "block" ? { rdev: `${major}:${minor}` } : {}),
    ...(xattrs === undefined ? {} : { xattrs }),
    ino: Number(stat.ino),
    blocks: Number(stat.blocks),
    bytes: Number(stat.size),
  };
}

/** A name that is listed and cannot be looked up is a row, too: an engine that mangles names shows such. */
function rowOrError(path: Buffer, name: string): Record<string, unknown> {
  try {
    return rowOf(path, name);
  } catch (error) {
    return { path: name, error: (error as Error).message };
  }
}

/** Paths in the order of their bytes, so that `link` is the first name of an inode. */
function pathsOf(): { path: Buffer; name: string }[] {
  const found: { path: Buffer; name: string }[] = [];
  const pending: { path: Buffer; prefix: string }[] = [{ path: root, prefix: "" }];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    for (const base of readdirSync(next.path, { encoding: "buffer" })) {
      const path = join(next.path, base);
      const name = next.prefix + base.toString("latin1");
      found.push({ path, name });
      if (lstatSync(path, { throwIfNoEntry: false })?.isDirectory())
        pending.push({ path, prefix: `${name}/` });
    }
  }
  return found.sort((left, right) => (left.name < right.name ? -1 : 1));
}

for (const { path, name } of [{ path: root, name: "." }, ...pathsOf()]) {
  const row = rowOrError(path, name);
  const sorted = Object.entries(row).sort(([left], [right]) => (left < right ? -1 : 1));
  process.stdout.write(`${JSON.stringify(Object.fromEntries(sorted))}\n`);
}
