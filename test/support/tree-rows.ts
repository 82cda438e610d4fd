import { type Directory, type Inode, listTree } from "#src/image/tree.js";
import { type LsRow, treeRows as rowsOf } from "#src/image/tree-rows.js";

export type Row = LsRow;

/** A golden mtime between these is the time of the run that made it: the recorded one is 0. */
const TIME_OF_RUN = { first: 1_795_000_000_000_000_000n, last: 1_800_000_000_000_000_000n } as const;

/**
 * A tree in the form of `nydus-convert ls --json`: sorted by path, keys sorted.
 *
 * @param recordedLinks Link counts to show instead of the number of names.
 */
export function treeRows(root: Directory, recordedLinks: ReadonlyMap<Inode, number> = new Map()): Row[] {
  return rowsOf(listTree(root), { recordedLinks });
}

/** Golden rows as the image records them: a time of the run as the 0 it stands for. */
export function recordedRowsWithDigests(golden: readonly unknown[]): Row[] {
  return (golden as readonly Row[]).map((row) =>
    sortKeys<Row>(isTimeOfRun(BigInt(row.mtimeNs)) ? { ...row, mtimeNs: "0" } : row),
  );
}

/** As {@link recordedRowsWithDigests}, without content digests. */
export function recordedRows(golden: readonly unknown[]): Row[] {
  return recordedRowsWithDigests(golden).map(({ sha256: _, ...row }) => row);
}

function isTimeOfRun(time: bigint): boolean {
  return time > TIME_OF_RUN.first && time < TIME_OF_RUN.last;
}

function sortKeys<Keyed extends object>(fields: Keyed): Keyed {
  const sorted = Object.entries(fields).sort(([left], [right]) => (left < right ? -1 : 1));
  return Object.fromEntries(sorted) as Keyed;
}
