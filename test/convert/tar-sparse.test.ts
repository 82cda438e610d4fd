import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { isCoded } from "#src/base/errors.js";
import { checkSparseMap, expandSparse, type SparseRun } from "#src/convert/tar-sparse.js";
import { entriesOf, inPieces, readAll } from "../support/layers.ts";
import { paxHeader, tarMember } from "../support/tar-builder.ts";

describe("expandSparse()", () => {
  it("puts every stored byte where the map says, and zeros elsewhere", async () => {
    const gaps = fc.array(fc.tuple(fc.nat(200_000), fc.nat(3000)), { maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(
        gaps,
        fc.nat(1000),
        fc.integer({ min: 1, max: 5000 }),
        async (gapped, tail, pieceSize) => {
          const runs: SparseRun[] = [];
          let end = 0;
          for (const [gap, size] of gapped) {
            runs.push({ offset: end + gap, size });
            end += gap + size;
          }
          const expected = Buffer.alloc(end + tail);
          const stored = Buffer.alloc(runs.reduce((sum, { size }) => sum + size, 0)).map(
            (_, index) => (index % 255) + 1,
          );
          let taken = 0;
          for (const { offset, size } of runs) {
            expected.set(stored.subarray(taken, taken + size), offset);
            taken += size;
          }
          const map = checkSparseMap({ size: expected.length, runs }, stored.length);
          assert.ok((await readAll(expandSparse(map, inPieces(stored, pieceSize)))).equals(expected));
        },
      ),
      { numRuns: 40 },
    );
  });
});

describe("checkSparseMap() refuses", () => {
  for (const [what, size, runs, stored] of [
    [
      "runs that overlap",
      10,
      [
        { offset: 0, size: 5 },
        { offset: 4, size: 2 },
      ],
      7,
    ],
    [
      "runs in no order",
      10,
      [
        { offset: 5, size: 1 },
        { offset: 0, size: 1 },
      ],
      2,
    ],
    ["a run beyond the file", 10, [{ offset: 8, size: 3 }], 3],
    ["a map of more bytes than are stored", 10, [{ offset: 0, size: 5 }], 4],
    ["a run of a negative size", 10, [{ offset: 5, size: -5 }], -5],
  ] as const) {
    it(what, () => {
      assert.throws(
        () => checkSparseMap({ size, runs }, stored),
        (error) => isCoded(error, "ERR_LAYER_INVALID"),
      );
    });
  }
});

describe("readLayer() refuses sparse files", () => {
  const sparse = (records: readonly (readonly [string, string])[], content = ""): Buffer =>
    Buffer.concat([paxHeader(records), tarMember({ name: "f" }, content)]);

  for (const [what, code, tar] of [
    [
      "larger than any file",
      "ERR_LIMIT_EXCEEDED",
      sparse([
        ["GNU.sparse.size", String(2 ** 50)],
        ["GNU.sparse.map", ""],
      ]),
    ],
    [
      "with half a run",
      "ERR_LAYER_INVALID",
      sparse([
        ["GNU.sparse.size", "9"],
        ["GNU.sparse.map", "1"],
      ]),
    ],
    [
      "with letters in the map",
      "ERR_LAYER_INVALID",
      sparse([
        ["GNU.sparse.size", "9"],
        ["GNU.sparse.map", "a,b"],
      ]),
    ],
    [
      "of an unknown version",
      "ERR_FEATURE_UNSUPPORTED",
      sparse([
        ["GNU.sparse.major", "2"],
        ["GNU.sparse.minor", "0"],
        ["GNU.sparse.realsize", "9"],
      ]),
    ],
    [
      "whose map does not end",
      "ERR_LAYER_INVALID",
      sparse(
        [
          ["GNU.sparse.major", "1"],
          ["GNU.sparse.minor", "0"],
          ["GNU.sparse.realsize", "9"],
        ],
        "9\n".padEnd(512, "1"),
      ),
    ],
    [
      "whose map has more runs than the limit",
      "ERR_LIMIT_EXCEEDED",
      sparse(
        [
          ["GNU.sparse.major", "1"],
          ["GNU.sparse.minor", "0"],
          ["GNU.sparse.realsize", "9"],
        ],
        `999999\n${"0\n".repeat(1 << 19)}`,
      ),
    ],
  ] as const) {
    it(what, async () => {
      await assert.rejects(entriesOf(tar), (error) => isCoded(error, code));
    });
  }
});
