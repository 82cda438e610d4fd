import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isCoded } from "#src/base/errors.js";
import { readBootstrap } from "#src/image/bootstrap-reader.js";
import { listTree } from "#src/image/tree.js";
import { readJsonLines } from "../support/fixtures.ts";
import { goldenBootstrap } from "../support/golden-blobs.ts";
import { GOLDEN_V6, UNSUPPORTED_V6 } from "../support/golden-bootstraps.ts";
import { recordedRows, treeRows } from "../support/tree-rows.ts";

describe("readBootstrap()", () => {
  for (const name of GOLDEN_V6) {
    // nydusify converted the three layers that made/merged was merged from.
    const shown = name.startsWith("nydusify/") ? "made/merged" : name;
    it(`finds in ${name} the tree that nydusd shows`, () => {
      const { root, recordedLinks } = readBootstrap(goldenBootstrap(name).bytes);
      const expected = recordedRows(readJsonLines("golden", shown, "nydusd.jsonl"));
      assert.deepEqual(treeRows(root, recordedLinks), expected);
    });
  }

  for (const [name, { feature, names }] of Object.entries(UNSUPPORTED_V6)) {
    const { bytes } = goldenBootstrap(name);

    it(`refuses ${name}, naming the feature`, () => {
      assert.throws(
        () => readBootstrap(bytes),
        (error) => isCoded(error, "ERR_FEATURE_UNSUPPORTED") && error.message.includes(feature),
      );
    });

    it(`lists ${name} when asked to`, () => {
      assert.equal(listTree(readBootstrap(bytes, { allowUnsupported: true }).root).length, names);
    });
  }

  it("puts the given id in the place of the one an inlined bootstrap cannot know", () => {
    const { bytes } = goldenBootstrap("made/v6-inline");
    const id = "0123456789abcdef".repeat(4);
    assert.deepEqual(
      readBootstrap(bytes, { blobId: id }).blobs.map((blob) => blob.id),
      [id],
    );
    assert.deepEqual(
      readBootstrap(bytes).blobs.map((blob) => blob.id),
      ["x".repeat(64)],
    );
    assert.throws(
      () => readBootstrap(bytes, { blobId: "../etc/passwd" }),
      (error) => isCoded(error, "ERR_OPTION_INVALID"),
    );
  });

  it("finds the paths of the prefetch table", () => {
    assert.deepEqual(readBootstrap(goldenBootstrap("made/v6-prefetch").bytes).prefetch, [
      "/links",
      "/sizes/f4097",
    ]);
  });
});
