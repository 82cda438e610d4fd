import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";

/** The root of the checkout: compiled tests live in `.build/test`. */
export const ROOT = resolve(import.meta.dirname, "../../..");

/** The path of a file under `fixtures/`. */
export function fixturePath(...parts: readonly string[]): string {
  return join(ROOT, "fixtures", ...parts);
}

/** The bytes of a file under `fixtures/`. */
export function readFixture(...parts: readonly string[]): Uint8Array {
  return readFileSync(fixturePath(...parts));
}

/** The rows of a `.jsonl` file under `fixtures/`. */
export function readJsonLines(...parts: readonly string[]): Record<string, unknown>[] {
  return readFileSync(fixturePath(...parts), "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}
