/** A row of `nydusd.jsonl`; see the golden data's README for the other fields. */
export interface GoldenRow {
  readonly path: string;
  readonly type: string;
  readonly mode: string;
  /** Decimal. */
  readonly mtimeNs: string;
  readonly sha256?: string;
  readonly target?: string;
}

/** A golden mtime between these is the time of the run that made it: nydusd shows a recorded 0 that way. */
const TIME_OF_RUN = { first: 1_795_000_000_000_000_000n, last: 1_800_000_000_000_000_000n } as const;

/** Rows of `nydusd.jsonl` with the times that the image records. */
export function recordedTimes(rows: readonly unknown[]): GoldenRow[] {
  return (rows as readonly GoldenRow[]).map((row) => {
    const time = BigInt(row.mtimeNs);
    return time > TIME_OF_RUN.first && time < TIME_OF_RUN.last ? { ...row, mtimeNs: "0" } : row;
  });
}
