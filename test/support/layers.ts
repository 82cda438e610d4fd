import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { type LayerItem, type LayerReaderOptions, readLayer } from "#src/convert/layer-reader.js";
import type { LayerEntry } from "#src/image/layer-entry.js";
import { countLinks, type Directory, type Inode, listTree, type Timestamp } from "#src/image/tree.js";

const EMPTY_DIGEST = createHash("sha256").digest();

/** Cuts bytes into pieces of `size`, as a stream may bring them. */
export async function* inPieces(bytes: Uint8Array, size = 65536): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < bytes.length; start += size) yield bytes.subarray(start, start + size);
}

/** Sets the mtime of a file to 1.5 s before 1970. Node's own calls take a negative time for *now*. */
export function setEarlyTime(path: string): void {
  execFileSync("touch", ["-d", "@-1.5", path]);
}

/** All bytes of a content. */
export async function readAll(content: AsyncIterable<Uint8Array> | undefined): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of content ?? []) parts.push(part);
  return Buffer.concat(parts);
}

/** The entries of a tar, each file with one chunk whose digest is the sha256 of the whole content. */
export async function entriesOf(
  tar: Uint8Array,
  options: LayerReaderOptions & { pieceSize?: number } = {},
): Promise<LayerEntry[]> {
  return collectEntries(readLayer(inPieces(tar, options.pieceSize), options));
}

/** As {@link entriesOf}, of any reader. */
export async function collectEntries(items: AsyncIterable<LayerItem>): Promise<LayerEntry[]> {
  const entries: LayerEntry[] = [];
  for await (const { entry, content } of items) {
    if (entry.type !== "file") {
      entries.push(entry);
      continue;
    }
    const bytes = await readAll(content);
    if (bytes.length !== entry.size)
      throw new Error(`${entry.path} has ${bytes.length} bytes, not ${entry.size}`);
    const digest = createHash("sha256").update(bytes).digest();
    const chunk = {
      blobIndex: 0,
      index: 0,
      digest: new Uint8Array(digest),
      decodedOffset: 0,
      decodedSize: bytes.length,
      storedOffset: undefined,
      storedSize: undefined,
      crc32c: undefined,
    };
    entries.push({ ...entry, chunks: [chunk] });
  }
  return entries;
}

/** One line of a golden `.jsonl` file. */
export interface GoldenRow {
  readonly path: string;
  readonly type: string;
  readonly mode: string;
  readonly uid: number;
  readonly gid: number;
  readonly mtimeNs: string;
  nlink?: number;
  /** First path of the same inode. */
  link?: string;
  target?: string;
  rdev?: string;
  size?: number;
  sha256?: string;
  /** Values in hex. */
  xattrs?: Record<string, string>;
}

/** A tree in the form of the golden `.jsonl` files. */
export function goldenRows(root: Directory): GoldenRow[] {
  const rows = listTree(root);
  const links = countLinks(rows);
  const firstPaths = new Map<Inode, string>();
  return rows.map(({ path, inode }) => {
    const row: GoldenRow = {
      gid: inode.gid,
      mode: inode.mode.toString(8).padStart(4, "0"),
      mtimeNs: nanosecondsOf(inode.mtime),
      path,
      type: inode.type,
      uid: inode.uid,
    };
    if (inode.type !== "dir") row.nlink = links.get(inode) ?? 0;
    if ((links.get(inode) ?? 0) > 1) {
      if (!firstPaths.has(inode)) firstPaths.set(inode, path);
      row.link = firstPaths.get(inode) ?? "";
    }
    if (inode.type === "symlink") row.target = inode.target;
    if (inode.type === "char" || inode.type === "block") row.rdev = `${inode.major}:${inode.minor}`;
    if (inode.type === "file") {
      row.size = inode.size;
      row.sha256 = Buffer.from(inode.chunks[0]?.digest ?? EMPTY_DIGEST).toString("hex");
    }
    if (inode.xattrs.size > 0) {
      row.xattrs = Object.fromEntries(
        [...inode.xattrs].map(([name, value]) => [name, Buffer.from(value).toString("hex")]),
      );
    }
    return row;
  });
}

function nanosecondsOf({ seconds, nanoseconds }: Timestamp): string {
  return String(BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds));
}
