import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isCoded } from "#src/base/errors.js";
import type { LayerEntry } from "#src/image/layer-entry.js";
import { buildLayerTree, LayeredTree } from "#src/image/overlay.js";
import { type Directory, listTree } from "#src/image/tree.js";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/**
 * Entries in short: `d a` directory, `f a` file, `h a b` hard link to b, `l a b` symlink, `c a` device 0:0;
 * a number behind is the mtime (files and directories are told apart by it), `700` style modes after `:`.
 */
function entry(text: string): LayerEntry {
  const [words = "", mode] = text.split(":");
  const [kind, path = "", ...rest] = words.split(" ");
  const seconds = Number(rest.find((word) => /^\d+$/.test(word)) ?? 1);
  const common = {
    path: path === "." ? "" : path,
    mode: Number.parseInt(mode ?? (kind === "d" ? "755" : "644"), 8),
    uid: seconds,
    gid: 0,
    mtime: { seconds, nanoseconds: 0 },
    xattrs: new Map<string, Uint8Array>(),
  };
  const linkTarget = rest.find((word) => !/^\d+$/.test(word)) ?? "";
  if (kind === "d") return { type: "dir", ...common };
  if (kind === "h") return { type: "hardlink", ...common, linkTarget };
  if (kind === "l") return { type: "symlink", ...common, linkTarget };
  if (kind === "c") return { type: "char", ...common, major: 0, minor: 0 };
  return { type: "file", ...common, size: 0, chunks: [] };
}

/** `path=TYPE mtime mode`, hard-linked names joined by the first of them. */
function show(root: Directory): string[] {
  const names = new Map<unknown, string>();
  return listTree(root)
    .filter(({ path, inode }) => path !== "." || inode.mtime.seconds !== 0)
    .map(({ path, inode }) => {
      const first = names.get(inode);
      if (inode.type !== "dir" && first === undefined) names.set(inode, path);
      const mode = inode.mode.toString(8);
      const usual = inode.type === "dir" ? "755" : inode.type === "symlink" ? "777" : "644";
      return `${path}=${first ?? `${inode.type[0]}${inode.mtime.seconds}${mode === usual ? "" : `:${mode}`}`}`;
    });
}

function merge(...layers: readonly (readonly string[])[]): string[] {
  const tree = new LayeredTree();
  for (const layer of layers) tree.applyLayer(layer.map(entry));
  return show(tree.build());
}

const CASES: readonly [name: string, layers: readonly (readonly string[])[], expected: readonly string[]][] =
  [
    ["a whiteout removes a file", [["f a", "f b"], ["f .wh.a"]], ["b=f1"]],
    ["a whiteout removes a directory with all in it", [["d a", "f a/b", "f c"], ["f .wh.a"]], ["c=f1"]],
    ["a whiteout in a directory", [["d a", "f a/b", "f a/c"], ["f a/.wh.b"]], ["a=d1", "a/c=f1"]],
    ["a whiteout before its own layer's file", [["f a"], ["f .wh.a", "f a 2"]], ["a=f2"]],
    ["a whiteout after its own layer's file", [["f a"], ["f a 2", "f .wh.a"]], ["a=f2"]],
    [
      "a whiteout before its own layer's directory",
      [
        ["d a", "f a/b"],
        ["f .wh.a", "d a 2", "f a/c 2"],
      ],
      ["a=d2", "a/c=f2"],
    ],
    [
      "a whiteout after its own layer's directory",
      [
        ["d a", "f a/b"],
        ["d a 2", "f a/c 2", "f .wh.a"],
      ],
      ["a=d2", "a/c=f2"],
    ],
    ["a whiteout of nothing", [["f a"], ["f .wh.b", "f x/.wh.y", "f a/.wh.z"]], ["a=f1"]],
    ["a whiteout in the lowest layer", [["f a", "f .wh.a"]], ["a=f1"]],
    ["a whiteout acts once", [["f a"], ["f .wh.a"], ["f a 3"]], ["a=f3"]],
    [
      "a whiteout that is a hard link, as AUFS wrote them",
      [["f a", "f b"], ["h .wh.a .wh..wh.aufs"]],
      ["b=f1"],
    ],
    ["a whiteout of a name that looks like one", [["f a"], ["f .wh.a.wh.b"]], ["a=f1"]],
    [
      "an opaque directory hides what is below",
      [
        ["d a", "f a/b"],
        ["d a 2", "f a/.wh..wh..opq", "f a/c 2"],
      ],
      ["a=d2", "a/c=f2"],
    ],
    [
      "an opaque marker at the end of its layer",
      [
        ["d a", "f a/b"],
        ["d a 2", "f a/c 2", "f a/.wh..wh..opq"],
      ],
      ["a=d2", "a/c=f2"],
    ],
    [
      "an opaque marker keeps what its layer replaced",
      [
        ["d a", "f a/b"],
        ["f a/b 2", "f a/.wh..wh..opq"],
      ],
      ["a=d1", "a/b=f2"],
    ],
    ["an opaque root", [["f a"], ["f b 2", "f .wh..wh..opq"]], ["b=f2"]],
    ["an opaque marker in a directory nobody has", [["f a"], ["f x/.wh..wh..opq"]], ["a=f1"]],
    [
      "opaque deep directories of its own layer stay",
      [
        ["d a", "d a/b", "f a/b/c"],
        ["f a/b/d 2", "f a/.wh..wh..opq"],
      ],
      ["a=d1", "a/b=d0", "a/b/d=f2"],
    ],
    [
      "AUFS leftovers",
      [["f a", "d .wh..wh.plnk", "f .wh..wh.plnk/1.2", "f .wh..wh.aufs", "d .wh..wh.orph"]],
      ["a=f1"],
    ],
    ["a file over a directory", [["d a", "f a/b"], ["f a 2"]], ["a=f2"]],
    ["a directory over a file", [["f a"], ["d a 2", "f a/b 2"]], ["a=d2", "a/b=f2"]],
    ["a directory over a directory", [["d a", "f a/b"], ["d a 2:700"]], ["a=d2:700", "a/b=f1"]],
    ["a directory over a symlink", [["l a x"], ["d a 2"]], ["a=d2"]],
    ["a symlink over a directory", [["d a", "f a/b"], ["l a x 2"]], ["a=s2"]],
    ["a device 0:0", [["f a"], ["c a 2"]], ["a=c2"]],
    ["implied parents that nobody has", [["f a/b/c"]], ["a=d0", "a/b=d0", "a/b/c=f1"]],
    ["implied parents that a lower layer has", [["d a:700"], ["f a/b 2"]], ["a=d1:700", "a/b=f2"]],
    ["an implied parent that comes later in its layer", [["f a/b", "d a 3:700"]], ["a=d3:700", "a/b=f1"]],
    ["an implied parent over a lower file", [["f a"], ["f a/b 2"]], ["a=d0", "a/b=f2"]],
    ["an implied parent that was whited out", [["d a:700"], ["f .wh.a", "f a/b 2"]], ["a=d0", "a/b=f2"]],
    ["a duplicate: the last wins", [["f a", "l a x 2", "f a 3"]], ["a=f3"]],
    ["a directory twice keeps its children", [["d a", "f a/b", "d a 2"]], ["a=d2", "a/b=f1"]],
    ["a file over its own layer's directory", [["d a", "f a/b", "f a 2"]], ["a=f2"]],
    ["the root's own attributes", [["d . 5:700", "f a"], ["f b"]], [".=d5:700", "a=f1", "b=f1"]],
    ["a hard link", [["f a", "h b a"]], ["a=f1", "b=a"]],
    ["a hard link to a lower layer", [["f a"], ["h b a 1"]], ["a=f1", "b=a"]],
    ["a hard link to a hard link", [["f a", "h b a"], ["h c b 1"]], ["a=f1", "b=a", "c=a"]],
    ["a hard link's header changes the inode", [["f a", "h b a 2:600"]], ["a=f2:600", "b=a"]],
    [
      "a hard link's header changes a lower inode under all names",
      [["f a", "h b a"], ["h c b 2:600"]],
      ["a=f2:600", "b=a", "c=a"],
    ],
    ["a hard link to a symlink keeps the mode", [["l a x", "h b a 2:600"]], ["a=s2", "b=a"]],
    ["a linked file replaced under one name", [["f a", "h b a"], ["f a 2"]], ["a=f2", "b=f1"]],
    ["a linked file whited out under one name", [["f a", "h b a"], ["f .wh.a"]], ["b=f1"]],
    [
      "a hard link to what its layer removes",
      [
        ["d a", "f a/b"],
        ["h c a/b 1", "f .wh.a"],
      ],
      ["c=f1"],
    ],
    [
      "a hard link to what its layer hides",
      [
        ["d a", "f a/b"],
        ["f a/.wh..wh..opq", "h c a/b 1"],
      ],
      ["a=d1", "c=f1"],
    ],
    ["a hard link over a file", [["f a", "f b"], ["h a b 1"]], ["a=f1", "b=a"]],
  ];

describe("LayeredTree", () => {
  for (const [name, layers, expected] of CASES) {
    it(name, () => {
      assert.deepEqual(merge(...layers), expected);
    });
  }

  for (const [name, layers, target] of [
    ["a hard link to nothing", [["h a b"]], "b"],
    ["a hard link to a later entry", [["h a b", "f b"]], "b"],
    ["a hard link to a directory", [["d b", "h a b"]], "b"],
    ["a hard link to itself", [["f a", "h a a"]], "a"],
    ["a hard link over the directory it links into", [["f a/b", "h a a/b"]], "a/b"],
    ["a hard link to a file an earlier layer removed", [["f b"], ["f .wh.b"], ["h a b"]], "b"],
    ["an entry inside a file of its own layer", [["f a", "f a/b"]], "a/b"],
    ["a root that is a file", [["f ."]], "root"],
    ["a whiteout of the directory it is in", [["f a/.wh.."]], ".wh.."],
    ["a whiteout of the parent", [["f a/.wh..."]], ".wh..."],
    ["a whiteout without a name", [["f a/.wh."]], ".wh."],
  ] as const) {
    it(`refuses ${name}`, () => {
      assert.throws(
        () => merge(...layers),
        (error) => isCoded(error, "ERR_LAYER_INVALID") && error.message.includes(target),
      );
    });
  }

  it("adds the xattrs of a hard link's header to those of the inode", () => {
    const tree = new LayeredTree();
    tree.applyLayer([
      {
        ...entry("f a"),
        xattrs: new Map([
          ["user.a", bytes("1")],
          ["user.b", bytes("1")],
        ]),
      },
      { ...entry("h b a"), xattrs: new Map([["user.b", bytes("2")]]) },
    ]);
    assert.deepEqual(
      tree.build().children.get("a")?.xattrs,
      new Map([
        ["user.a", bytes("1")],
        ["user.b", bytes("2")],
      ]),
    );
  });

  it("leaves a tree alone that was built before a layer was added", () => {
    const tree = new LayeredTree();
    tree.applyLayer(["d a", "f a/b", "f c"].map(entry));
    const lower = tree.build();
    const before = show(lower);
    tree.applyLayer(["d a 2:700", "f a/.wh.b", "h d c 2:600"].map(entry));
    assert.deepEqual(show(lower), before);
    assert.deepEqual(show(tree.build()), ["a=d2:700", "c=f2:600", "d=c"]);
  });
});

describe("buildLayerTree()", () => {
  it("keeps whiteouts as empty files and leaves out links to other layers", () => {
    const layer = [
      "f b/.wh.a 2",
      "h .wh.c x",
      "d e",
      "f e/.wh..wh..opq",
      "f .wh..wh.aufs",
      "h l missing",
      "f t",
      "h m t",
    ];
    assert.deepEqual(show(buildLayerTree(layer.map(entry))), [
      ".wh.c=f1",
      "b=d0",
      "b/.wh.a=f2",
      "e=d1",
      "e/.wh..wh..opq=f1",
      "m=f1",
      "t=m",
    ]);
  });
});
