import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { fromHex, toHex, viewOf } from "#src/base/bytes.js";
import { decodePrefetchTable, encodePrefetchTable } from "#src/format/rafs/prefetch-table.js";

describe("a prefetch table", () => {
  it("ends at the first 0", () => {
    const view = viewOf(fromHex("8000000001020000000000000f000000"));
    assert.deepEqual(decodePrefetchTable(view, 0, 4), [128, 513]);
    assert.deepEqual(decodePrefetchTable(view, 0, 1), [128]);
  });

  it("gives a RangeError when it does not fit", () => {
    assert.throws(() => decodePrefetchTable(viewOf(fromHex("80000000")), 0, 2), RangeError);
  });

  it("is written row by row", () => {
    const bytes = new Uint8Array(8);
    encodePrefetchTable(viewOf(bytes), 0, [128, 513]);
    assert.equal(toHex(bytes), "8000000001020000");
  });
});
