import type { Command } from "commander";
import { CodedError } from "../base/errors.ts";

/**
 * What to say when the first operand of a program is almost the name of one of its commands and not clearly an image:
 * without this `chek` would be looked for in a registry. `undefined` when it is not.
 */
export function mistypedCommand(program: Command): CodedError | undefined {
  const [operand = ""] = program.args;
  if (!/^[a-z]+$/.test(operand)) return undefined;
  const near = program.commands
    .map((command) => command.name())
    .find((name) => distance(operand, name) <= (name.length < 5 ? 1 : 2));
  if (near === undefined) return undefined;
  return new CodedError(
    "ERR_OPTION_INVALID",
    `there is no command ${operand}; did you mean ${near}? An image of that name is docker://${operand}`,
  );
}

/** How many letters must be put in, left out or changed to make one text of the other. */
function distance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (let line = 1; line <= from.length; line++) {
    const next = [line];
    for (let column = 1; column <= to.length; column++) {
      const change = from[line - 1] === to[column - 1] ? 0 : 1;
      const [left = 0, above = 0, diagonal = 0] = [next[column - 1], row[column], row[column - 1]];
      next.push(Math.min(left + 1, above + 1, diagonal + change));
    }
    row = next;
  }
  return row[to.length] ?? 0;
}
