import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { describe, it } from "node:test";
import { ROOT } from "../support/fixtures.ts";

/** Everything that a file of src imports, directly or not; types are nothing at run time. */
function importsOf(path: string, seen = new Set<string>()): Set<string> {
  if (seen.has(path)) return seen;
  seen.add(path);
  const text = readFileSync(path, "utf8").replace(/import type [^;]+;/g, "");
  for (const [, specifier = ""] of text.matchAll(/from "([^"]+)"/g)) {
    if (specifier.startsWith(".")) importsOf(resolve(dirname(path), specifier), seen);
    else seen.add(specifier);
  }
  return seen;
}

describe("node/supervisor.ts", () => {
  it("has no package in its path", () => {
    const all = [...importsOf(join(ROOT, "src/node/supervisor.ts"))];
    assert.ok(all.length > 8);
    assert.deepEqual(
      all.filter((name) => !name.startsWith("/") && !name.startsWith("node:")),
      [],
    );
  });
});
