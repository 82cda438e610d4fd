/** Bytes per row of the prefetch table. */
export const PREFETCH_ROW_SIZE = 4;

/**
 * Reads a prefetch table: nids (v6) or inode numbers (v5), in order. It ends at the first 0, as old builders left rows free.
 *
 * @param count Rows of the table.
 * @throws {RangeError} when it does not fit in `view`.
 * @see nydus rafs/src/metadata/layout/v5.rs, RafsV5PrefetchTable
 */
export function decodePrefetchTable(view: DataView, offset: number, count: number): number[] {
  const inodes: number[] = [];
  for (let row = 0; row < count; row++) {
    const inode = view.getUint32(offset + row * PREFETCH_ROW_SIZE, true);
    if (inode === 0) break;
    inodes.push(inode);
  }
  return inodes;
}

/**
 * Writes a prefetch table.
 *
 * @throws {RangeError} when it does not fit in `view`.
 */
export function encodePrefetchTable(view: DataView, offset: number, inodes: readonly number[]): void {
  inodes.forEach((inode, row) => {
    view.setUint32(offset + row * PREFETCH_ROW_SIZE, inode, true);
  });
}
