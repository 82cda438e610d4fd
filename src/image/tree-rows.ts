import type { ByteString } from "../base/bytes.ts";
import { toHex } from "../base/bytes.ts";
import { countLinks, type FileType, type Inode, type RegularFile, type TreeRow } from "./tree.ts";

/** What `ls --json` prints of one name (docs/cli.md). Keys are in alphabetical order. */
export interface LsRow {
  readonly path: ByteString;
  readonly type: FileType;
  /** Four octal digits. */
  readonly mode: string;
  readonly uid: number;
  readonly gid: number;
  /** Nanoseconds since 1970 in decimal. */
  readonly mtimeNs: string;
  /** Not of directories. */
  readonly nlink?: number;
  /** First path of the same inode, when it has several names. */
  readonly link?: ByteString | undefined;
  /** Bytes, of files. */
  readonly size?: number;
  /** Hex digits over the content, of files, where asked for. */
  readonly sha256?: string;
  /** Of symlinks. */
  readonly target?: ByteString;
  /** `major:minor`, of devices. */
  readonly rdev?: string;
  /** Values in hex; absent when there are none. */
  readonly xattrs?: Readonly<Record<string, string>>;
}

/** What the names alone do not say. */
export interface TreeRowOptions {
  /** Link counts to show instead of the number of names. @default none */
  readonly recordedLinks?: ReadonlyMap<Inode, number>;
  /** sha256 over the contents, in hex digits. @default none */
  readonly digests?: ReadonlyMap<RegularFile, string>;
}

/** The rows of `ls --json` for names as `listTree` gives them: all of a tree, so that links are found. */
export function treeRows(names: readonly TreeRow[], options: TreeRowOptions = {}): LsRow[] {
  const links = countLinks(names);
  const firstPaths = new Map<Inode, ByteString>();
  for (const { path, inode } of names) if (!firstPaths.has(inode)) firstPaths.set(inode, path);
  return names.map(({ path, inode }) => {
    const nlink = options.recordedLinks?.get(inode) ?? links.get(inode) ?? 1;
    const isDevice = inode.type === "char" || inode.type === "block";
    const sha256 = inode.type === "file" ? options.digests?.get(inode) : undefined;
    return {
      gid: inode.gid,
      ...(nlink > 1 && { link: firstPaths.get(inode) }),
      mode: inode.mode.toString(8).padStart(4, "0"),
      mtimeNs: (BigInt(inode.mtime.seconds) * 1_000_000_000n + BigInt(inode.mtime.nanoseconds)).toString(),
      ...(inode.type !== "dir" && { nlink }),
      path,
      ...(isDevice && { rdev: `${inode.major}:${inode.minor}` }),
      ...(sha256 !== undefined && { sha256 }),
      ...(inode.type === "file" && { size: inode.size }),
      ...(inode.type === "symlink" && { target: inode.target }),
      type: inode.type,
      uid: inode.uid,
      ...(inode.xattrs.size > 0 && { xattrs: hexXattrs(inode) }),
    };
  });
}

function hexXattrs(inode: Inode): Record<string, string> {
  const sorted = [...inode.xattrs].sort(([left], [right]) => (left < right ? -1 : 1));
  return Object.fromEntries(sorted.map(([name, value]) => [name, toHex(value)]));
}
