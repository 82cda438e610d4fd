/** A golden mtime between these is the time of the run that made it: nydusd shows a recorded 0 that way. */
const TIME_OF_RUN = { first: 1_795_000_000_000_000_000n, last: 1_800_000_000_000_000_000n } as const;

/** Rows of `nydusd.jsonl` with the times that the image records. */
export function recordedTimes(rows: readonly Record<string, unknown>[]): Record<string, unknown>[] {
  return rows.map((row) => {
    const time = BigInt(String(row["mtimeNs"]));
    return time > TIME_OF_RUN.first && time < TIME_OF_RUN.last ? { ...row, mtimeNs: "0" } : row;
  });
}
