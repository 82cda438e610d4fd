import type { ByteString } from "#src/base/bytes.js";
import { toHex } from "#src/base/bytes.js";
import { countLinks, type Directory, type FileType, type Inode, listTree } from "#src/image/tree.js";

/** One line of `nydus-convert ls --json` (docs/cli.md), without the digest of the content. */
export interface Row {
  readonly path: ByteString;
  readonly type: FileType;
  readonly mode: string;
  readonly uid: number;
  readonly gid: number;
  readonly mtimeNs: string;
  readonly nlink?: number;
  readonly link?: ByteString | undefined;
  readonly size?: number;
  readonly target?: ByteString;
  readonly rdev?: string;
  readonly xattrs?: Readonly<Record<string, string>>;
}

/** A golden mtime between these is the time of the run that made it: the recorded one is 0. */
const TIME_OF_RUN = { first: 1_795_000_000_000_000_000n, last: 1_800_000_000_000_000_000n } as const;

/**
 * A tree in the form of `nydus-convert ls --json`: sorted by path, keys sorted.
 *
 * @param recordedLinks Link counts to show instead of the number of names.
 */
export function treeRows(root: Directory, recordedLinks: ReadonlyMap<Inode, number> = new Map()): Row[] {
  const listed = listTree(root);
  const links = countLinks(listed);
  const firstPaths = new Map<Inode, ByteString>();
  for (const { path, inode } of listed) if (!firstPaths.has(inode)) firstPaths.set(inode, path);
  return listed.map(({ path, inode }) => {
    const nlink = recordedLinks.get(inode) ?? links.get(inode) ?? 1;
    const isDevice = inode.type === "char" || inode.type === "block";
    return sortKeys<Row>({
      path,
      type: inode.type,
      mode: inode.mode.toString(8).padStart(4, "0"),
      uid: inode.uid,
      gid: inode.gid,
      mtimeNs: (BigInt(inode.mtime.seconds) * 1_000_000_000n + BigInt(inode.mtime.nanoseconds)).toString(),
      ...(inode.type === "dir" ? {} : { nlink }),
      ...(nlink > 1 ? { link: firstPaths.get(inode) } : {}),
      ...(inode.type === "file" ? { size: inode.size } : {}),
      ...(inode.type === "symlink" ? { target: inode.target } : {}),
      ...(isDevice ? { rdev: `${inode.major}:${inode.minor}` } : {}),
      ...(inode.xattrs.size > 0 ? { xattrs: hexXattrs(inode) } : {}),
    });
  });
}

/** Golden rows as the image records them: without content digests, and a time of the run as the 0 it stands for. */
export function recordedRows(golden: readonly unknown[]): Row[] {
  return (golden as readonly (Row & { readonly sha256?: string })[]).map(({ sha256: _, ...row }) =>
    sortKeys<Row>(isTimeOfRun(BigInt(row.mtimeNs)) ? { ...row, mtimeNs: "0" } : row),
  );
}

function hexXattrs(inode: Inode): Record<string, string> {
  return sortKeys(Object.fromEntries([...inode.xattrs].map(([name, value]) => [name, toHex(value)])));
}

function isTimeOfRun(time: bigint): boolean {
  return time > TIME_OF_RUN.first && time < TIME_OF_RUN.last;
}

function sortKeys<Keyed extends object>(fields: Keyed): Keyed {
  const sorted = Object.entries(fields).sort(([left], [right]) => (left < right ? -1 : 1));
  return Object.fromEntries(sorted) as Keyed;
}
