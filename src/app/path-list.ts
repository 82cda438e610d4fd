import { readFileSync } from "node:fs";
import { CodedError } from "../base/errors.ts";

/** A part of a file that was read, as a trace has it. */
export interface TraceRow {
  readonly path: string;
  readonly offset: number;
  readonly size: number;
}

/** Bytes of a list that are read. */
const MAX_LIST_SIZE = 64 * 2 ** 20;

/**
 * Reads a list of paths: one a line, or the rows of a trace, of which each path counts once.
 *
 * @param path `-` is standard input.
 * @param what For messages: `prefetch file`.
 * @throws {CodedError} ERR_OPTION_INVALID.
 */
export function readPathList(path: string, what: string): string[] {
  let text: string;
  try {
    text = readFileSync(path === "-" ? 0 : path, "utf8");
  } catch (cause) {
    throw new CodedError("ERR_OPTION_INVALID", `${what} ${path} cannot be read`, { cause });
  }
  if (text.length > MAX_LIST_SIZE) {
    throw new CodedError("ERR_OPTION_INVALID", `${what} ${path} is over ${MAX_LIST_SIZE} bytes`);
  }
  const lines = text.split("\n").filter((line) => line !== "");
  return [...new Set(lines.map((line) => (line.startsWith("{") ? pathOf(line, `${what} ${path}`) : line)))];
}

/** A trace as text: a line of JSON for each row. */
export function formatTrace(rows: readonly TraceRow[]): string {
  return rows.map((row) => `${JSON.stringify(row)}\n`).join("");
}

function pathOf(line: string, where: string): string {
  try {
    const { path } = JSON.parse(line) as { readonly path?: unknown };
    if (typeof path === "string") return path;
  } catch {
    // Said below.
  }
  throw new CodedError("ERR_OPTION_INVALID", `${where} has the line ${JSON.stringify(line.slice(0, 100))}`);
}
