import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { LayerEntry } from "#src/image/layer-entry.js";
import { LayeredTree } from "#src/image/overlay.js";
import { listTree } from "#src/image/tree.js";

/** Where a name comes from: `type stamp`, directories that nobody described `dir 0`. */
type Model = Map<string, string>;

function removeTree(model: Model, path: string, keepSelf: boolean): void {
  for (const key of [...model.keys()]) {
    if ((key === path && !keepSelf) || key.startsWith(path === "" ? "" : `${path}/`)) model.delete(key);
  }
}

/** The OCI rules word by word, on a flat map of paths: slow, and written without looking at the tree. */
function applyToModel(lower: Model, layer: readonly LayerEntry[]): Model {
  const model = new Map(lower);
  for (const { path } of layer) {
    const directory = path.split("/").slice(0, -1);
    const name = path.split("/").at(-1) ?? "";
    if (name === ".wh..wh..opq") removeTree(model, directory.join("/"), true);
    else if (name.startsWith(".wh.")) removeTree(model, [...directory, name.slice(4)].join("/"), false);
  }
  for (const entry of layer) {
    const names = entry.path.split("/");
    if (names.at(-1)?.startsWith(".wh.")) continue;
    for (let depth = 1; depth < names.length; depth++) {
      const parent = names.slice(0, depth).join("/");
      if (!model.get(parent)?.startsWith("dir")) model.set(parent, "dir 0");
    }
    if (entry.type !== "dir") removeTree(model, entry.path, false);
    model.set(entry.path, `${entry.type} ${entry.mtime.seconds}`);
  }
  return model;
}

const NAMES = ["a", "b", "c"];
const paths = fc
  .array(fc.constantFrom(...NAMES), { minLength: 1, maxLength: 4 })
  .map((names) => names.join("/"));

interface Step {
  readonly kind: "file" | "dir" | "remove" | "opaque";
  readonly path: string;
}

const steps: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom("file", "file", "dir", "dir", "remove", "opaque"),
  path: paths,
});

function entryOf({ kind, path }: Step, stamp: number): LayerEntry {
  const directory = path.split("/").slice(0, -1);
  const name = path.split("/").at(-1) ?? "";
  const full =
    kind === "remove"
      ? [...directory, `.wh.${name}`].join("/")
      : kind === "opaque"
        ? `${path}/.wh..wh..opq`
        : path;
  const common = {
    path: full,
    mode: 0o755,
    uid: 0,
    gid: 0,
    mtime: { seconds: stamp, nanoseconds: 0 },
    xattrs: new Map(),
  };
  return kind === "dir" ? { type: "dir", ...common } : { type: "file", ...common, size: 0, chunks: [] };
}

/** Drops entries inside a file of the same layer, which is an error of its own. */
function consistent(layer: readonly LayerEntry[]): LayerEntry[] {
  const files = new Set<string>();
  return layer.filter(({ path, type }) => {
    const names = path.split("/");
    const isWhiteout = names.at(-1)?.startsWith(".wh.");
    if (isWhiteout) return true;
    for (let depth = 1; depth < names.length; depth++) {
      if (files.has(names.slice(0, depth).join("/"))) return false;
    }
    if (type === "file") files.add(path);
    else files.delete(path);
    return true;
  });
}

describe("LayeredTree", () => {
  it("agrees with a flat model of the OCI rules on random layers", () => {
    fc.assert(
      fc.property(fc.array(fc.array(steps, { maxLength: 12 }), { minLength: 1, maxLength: 4 }), (layers) => {
        let stamp = 0;
        let model: Model = new Map();
        const tree = new LayeredTree();
        for (const layer of layers) {
          const entries = consistent(layer.map((step) => entryOf(step, ++stamp)));
          model = applyToModel(model, entries);
          tree.applyLayer(entries);
        }
        const rows = listTree(tree.build()).slice(1);
        assert.deepEqual(
          rows.map(({ path, inode }) => [path, `${inode.type} ${inode.mtime.seconds}`]),
          [...model].sort(([left], [right]) => (left < right ? -1 : 1)),
        );
      }),
      { numRuns: 500 },
    );
  });
});
