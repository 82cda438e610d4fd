import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { ERRORS } from "#src/base/errors.js";
import { ROOT } from "../support/fixtures.ts";

describe("docs/operations.md", () => {
  it("explains every error code with its exit status, and no other", () => {
    const text = readFileSync(join(ROOT, "docs/operations.md"), "utf8");
    const documented = [...text.matchAll(/^\|\s*(ERR_\w+)\s*\|\s*(\d+)\s*\|/gm)].map((match) => [
      match[1],
      match[2],
    ]);
    const known = Object.entries(ERRORS).map(([code, row]) => [code, String(row.exit)]);
    assert.deepEqual(documented.sort(), known.sort());
  });
});
