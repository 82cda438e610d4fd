import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { decompress } from "zstd-napi";
import { buildLayerTree, LayeredTree } from "#src/image/overlay.js";
import { readFixture, readJsonLines } from "../support/fixtures.ts";
import { entriesOf, type GoldenRow, goldenRows } from "../support/layers.ts";

/** In golden rows a later mtime is the time of the tool's run. */
const RUN_TIME = 1_795_000_000_000_000_000n;

function withoutRunTimes(
  golden: readonly GoldenRow[],
  ours: readonly GoldenRow[],
): [GoldenRow[], GoldenRow[]] {
  const isRunTime = new Set(golden.filter((row) => BigInt(row.mtimeNs) > RUN_TIME).map((row) => row.path));
  const strip = (row: GoldenRow): GoldenRow =>
    isRunTime.has(row.path) ? { ...row, mtimeNs: "run time" } : row;
  return [golden.map(strip), ours.map(strip)];
}

function assertSameRows(ours: readonly GoldenRow[], golden: readonly GoldenRow[]): void {
  const [expected, actual] = withoutRunTimes(golden, ours);
  assert.deepEqual(
    actual.map((row) => row.path),
    expected.map((row) => row.path),
  );
  assert.deepEqual(actual, expected);
}

function goldenLines(...parts: readonly string[]): GoldenRow[] {
  return readJsonLines("golden", "made", ...parts) as unknown as GoldenRow[];
}

describe("the golden layers", () => {
  for (const [count, rows] of [
    [3, "layers-1-3.jsonl"],
    [4, "layers-1-4.jsonl"],
  ] as const) {
    it(`laid over each other (${count}) are what an independent unpacker made of them`, async () => {
      const tree = new LayeredTree();
      for (let layer = 1; layer <= count; layer++) {
        tree.applyLayer(await entriesOf(readFixture("golden", "made", `layer${layer}.tar`)));
      }
      assertSameRows(goldenRows(tree.build()), goldenLines(rows));
    });
  }

  for (const layer of ["layer1", "layer2", "layer3"]) {
    it(`alone are what nydusd shows of the real tool's image of it (${layer})`, async () => {
      const tree = buildLayerTree(await entriesOf(readFixture("golden", "made", `${layer}.tar`)));
      const golden = goldenLines(layer, "nydusd.jsonl");
      // The real tool keeps the mode of a symlink's header; the kernel shows 0777 for every symlink.
      const expected = golden.map((row) => (row.type === "symlink" ? { ...row, mode: "0777" } : row));
      assertSameRows(goldenRows(tree), expected);
    });
  }
});

describe("the golden tree", () => {
  it("is read from its tar with nothing lost but what the tar does not have", async () => {
    const tar = decompress(readFixture("golden", "made", "tree.tar.zst"));
    const tree = new LayeredTree();
    tree.applyLayer(await entriesOf(tar));
    // See fixtures/golden/README: the tar was made for a tool that refuses these.
    const missing = new Set(["links/hsym2", "names/new\nline"]);
    const expected = goldenLines("tree.jsonl")
      .filter((row) => row.type !== "socket" && !missing.has(row.path))
      .map(({ link, ...row }) => {
        const isAlone = link === "links/hsym1";
        return { ...row, ...(link !== undefined && !isAlone && { link }), ...(isAlone && { nlink: 1 }) };
      });
    assertSameRows(goldenRows(tree.build()), expected);
  });
});
