import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { viewOf } from "#src/base/bytes.js";
import { decodeXattrs } from "#src/format/erofs/xattr.js";
import { readBootstrap } from "#src/image/bootstrap-reader.js";
import { BootstrapView } from "#src/image/bootstrap-view.js";
import { type WriteBootstrapOptions, writeBootstrap } from "#src/image/bootstrap-writer.js";
import { goldenBootstrap } from "../support/golden-blobs.ts";
import { GOLDEN_V6 } from "../support/golden-bootstraps.ts";

/** A bootstrap of the real tools, how to write it again, and everything that then differs, by the names of `fields`. */
interface Golden {
  readonly name: string;
  readonly options: WriteBootstrapOptions;
  readonly differences: readonly string[];
}

const INLINE: readonly string[] = ["layer1", "layer2", "layer3", "v6-inline", "v6-inline-toc"].map(
  (run) => `made/${run}`,
);

/** nydus 2.4.4 stores hard-linked symlinks as two inodes with the number and the link count they have together. */
const SPLIT_SYMLINK = ["/links/hsym1 nlink", "/links/hsym2 ino", "/links/hsym2 nlink"];

const GOLDEN: readonly Golden[] = [
  ...GOLDEN_V6.map((name) => ({
    name,
    options: { statesNoEncryption: true, ...(INLINE.includes(name) ? { inlineBlobIndex: 0 } : {}) },
    differences: [
      // --repeatable leaves out the flag for explicit owners.
      ...(name === "made/v6-repeatable" ? ["flags"] : []),
      ...(name.startsWith("made/v6") ? SPLIT_SYMLINK : []),
    ],
  })),
  {
    name: "nydus/bootstrap",
    options: {},
    // Before 2.3 the root had number 0 and devices were mapped at multiples of 2 MiB.
    differences: ["/ ino", "device 0 mapped start"],
  },
];

/** The parts of a bootstrap that may differ, as `[start, end, name]`. */
function fields(bytes: Uint8Array): (readonly [start: number, end: number, name: string])[] {
  const view = new BootstrapView(bytes);
  const found: (readonly [number, number, string])[] = [
    [1152, 1160, "flags"],
    [1408 + 68, 1408 + 72, "device 0 mapped start"],
  ];
  const pending = [{ nid: view.rootNid, path: "/" }];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const inode = view.inode(next.nid);
    found.push([inode.offset + 20, inode.offset + 24, `${next.path} ino`]);
    found.push([inode.offset + 44, inode.offset + 48, `${next.path} nlink`]);
    // The builder writes xattrs in a random order: one alone must be the same.
    if (view.xattrs(inode).size > 1)
      found.push([inode.bodyOffset - inode.xattrBytes, inode.bodyOffset, "xattr order"]);
    if ((inode.mode & 0o170000) !== 0o040000) continue;
    const prefix = next.path === "/" ? "" : next.path;
    for (const { name, nid } of view.entries(inode)) {
      if (name !== "." && name !== "..") pending.push({ nid, path: `${prefix}/${name}` });
    }
  }
  return found;
}

describe("writeBootstrap() after readBootstrap()", () => {
  for (const { name, options, differences } of GOLDEN) {
    it(`gives the bytes of ${name}${differences.length > 0 ? ` but for ${differences.join(", ")}` : ""}`, () => {
      const theirs = goldenBootstrap(name).bytes;
      const ours = writeBootstrap(readBootstrap(theirs), options).bytes;
      assert.equal(ours.length, theirs.length);

      const known = fields(theirs);
      const found = new Set<string>();
      for (let at = 0; at < theirs.length; at++) {
        if (ours[at] === theirs[at]) continue;
        found.add(known.find(([start, end]) => at >= start && at < end)?.[2] ?? `byte ${at}`);
      }
      found.delete("xattr order");
      assert.deepEqual([...found].sort(), [...differences].sort());

      for (const [start, end] of known.filter(([, , name]) => name === "xattr order")) {
        const ordered = decodeXattrs(viewOf(ours), start, end - start);
        assert.deepEqual(ordered, decodeXattrs(viewOf(theirs), start, end - start));
        assert.deepEqual([...ordered.keys()], [...ordered.keys()].sort());
      }
    });
  }
});
