import { textOf } from "../base/bytes.ts";
import { type Image, listTree } from "../image/tree.ts";
import type { ChunkTrace } from "../mount/chunk-trace.ts";
import type { TraceRow } from "./path-list.ts";

/**
 * What was read of which files, in the order of first reads; neighbouring reads of a file are one row. Of files that
 * share a chunk the first in the tree is named: to fetch it brings the same bytes.
 *
 * @param imageRowOf Gives the row of the image's blob table for a row of the mounted one.
 */
export function traceRows(
  image: Pick<Image, "root">,
  trace: ChunkTrace,
  imageRowOf: (blobIndex: number) => number,
): TraceRow[] {
  const owners = new Map<string, { readonly path: string; readonly offset: number; readonly size: number }>();
  for (const { path, inode } of listTree(image.root)) {
    if (inode.type !== "file") continue;
    let offset = 0;
    for (const { blobIndex, index, decodedSize: size } of inode.chunks) {
      const key = `${blobIndex}/${index}`;
      if (!owners.has(key)) owners.set(key, { path: `/${textOf(path)}`, offset, size });
      offset += size;
    }
  }
  const rows: { path: string; offset: number; size: number }[] = [];
  for (const { blobIndex, chunkIndex } of trace.list()) {
    const owner = owners.get(`${imageRowOf(blobIndex)}/${chunkIndex}`);
    if (owner === undefined) continue;
    const last = rows.at(-1);
    if (last?.path === owner.path && last.offset + last.size === owner.offset) last.size += owner.size;
    else rows.push({ ...owner });
  }
  return rows;
}
