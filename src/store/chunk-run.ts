import type { ChunkRun } from "./chunk-source.ts";

/** The longest runs of neighbouring chunks inside `run` for which `isWanted` is true, in order. */
export function runsWhere(run: ChunkRun, isWanted: (index: number) => boolean): ChunkRun[] {
  const runs: ChunkRun[] = [];
  const end = run.first + run.count;
  for (let first = run.first; first < end; first++) {
    if (!isWanted(first)) continue;
    let next = first + 1;
    while (next < end && isWanted(next)) next++;
    runs.push({ first, count: next - first });
    first = next;
  }
  return runs;
}
