import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { describe, it } from "node:test";
import { isCoded } from "#src/base/errors.js";
import { readBootstrap } from "#src/image/bootstrap-reader.js";
import { listTree } from "#src/image/tree.js";
import { fixturePath, readFixture, readJsonLines } from "../support/fixtures.ts";
import { GOLDEN_V6, UNSUPPORTED_V6 } from "../support/golden-bootstraps.ts";
import { recordedRows, treeRows } from "../support/tree-rows.ts";

describe("readBootstrap()", () => {
  for (const name of GOLDEN_V6) {
    it(`finds in made/${name} the tree that nydusd shows`, () => {
      const { root, recordedLinks } = readBootstrap(readFixture("golden", "made", name, "bootstrap"));
      const shown = existsSync(fixturePath("golden", "made", name, "nydusd.jsonl"))
        ? readJsonLines("golden", "made", name, "nydusd.jsonl")
        : readJsonLines("golden", "made", "tree.jsonl");
      const expected = recordedRows(shown);
      assert.deepEqual(treeRows(root, recordedLinks), expected);
    });
  }

  for (const [name, { feature, names }] of Object.entries(UNSUPPORTED_V6)) {
    const bytes = readFixture("golden", "made", name, "bootstrap");

    it(`refuses made/${name}, naming the feature`, () => {
      assert.throws(
        () => readBootstrap(bytes),
        (error) => isCoded(error, "ERR_FEATURE_UNSUPPORTED") && error.message.includes(feature),
      );
    });

    it(`lists made/${name} when asked to`, () => {
      assert.equal(listTree(readBootstrap(bytes, { allowUnsupported: true }).root).length, names);
    });
  }
});
