import { textOf } from "../base/bytes.ts";
import type { LsRow } from "./tree-rows.ts";

/** One name that two trees say different things of. */
export interface RowDifference {
  /** For people. */
  readonly path: string;
  readonly message: string;
}

/**
 * What of a tree is not as it is in another one, name by name.
 *
 * @param original Sorted by path, the root first.
 * @param found As `original`.
 */
export function* rowDifferences(
  original: readonly LsRow[],
  found: readonly LsRow[],
): Generator<RowDifference, void, void> {
  let left = 0;
  let right = 0;
  for (let from = original[0], to = found[0]; from !== undefined || to !== undefined; ) {
    if (to === undefined || (from !== undefined && isBefore(from, to))) {
      if (from !== undefined) yield { path: textOf(from.path), message: "is missing" };
      left++;
    } else if (from === undefined || isBefore(to, from)) {
      yield { path: textOf(to.path), message: "is not in the original" };
      right++;
    } else {
      yield* fieldDifferences(from, to);
      left++;
      right++;
    }
    from = original[left];
    to = found[right];
  }
}

function* fieldDifferences(from: LsRow, to: LsRow): Generator<RowDifference, void, void> {
  const keys = new Set([...Object.keys(from), ...Object.keys(to)]) as Set<keyof LsRow>;
  for (const key of keys) {
    const [was, is] = [shown(from[key]), shown(to[key])];
    if (was !== is) yield { path: textOf(from.path), message: `has ${key} ${is}, the original ${was}` };
  }
}

function shown(value: LsRow[keyof LsRow]): string {
  if (value === undefined) return "none";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

function isBefore(left: LsRow, right: LsRow): boolean {
  if (left.path === right.path || right.path === ".") return false;
  return left.path === "." || left.path < right.path;
}
