import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { isCoded } from "#src/base/errors.js";
import { BootstrapView, type Dentry, type InodeRecord } from "#src/image/bootstrap-view.js";
import { writeBootstrap } from "#src/image/bootstrap-writer.js";
import { countLinks, type Directory, type Inode, listTree } from "#src/image/tree.js";
import { goldenBootstrap } from "../support/golden-blobs.ts";
import { GOLDEN_V6 } from "../support/golden-bootstraps.ts";
import { randomImage } from "../support/random-image.ts";

function walk(view: BootstrapView, visit: (directory: InodeRecord) => void): void {
  const pending = [view.rootNid];
  for (let nid = pending.pop(); nid !== undefined; nid = pending.pop()) {
    const inode = view.inode(nid);
    if ((inode.mode & 0o170000) !== 0o040000) continue;
    visit(inode);
    for (const entry of view.entries(inode))
      if (entry.name !== "." && entry.name !== "..") pending.push(entry.nid);
  }
}

describe("BootstrapView", () => {
  for (const name of GOLDEN_V6) {
    it(`finds every name of ${name} that it lists, and no other`, () => {
      const view = new BootstrapView(goldenBootstrap(name).bytes);
      let names = 1;
      walk(view, (directory) => {
        for (const entry of view.entries(directory)) {
          assert.equal(view.lookup(directory, entry.name), entry.nid);
          assert.equal(view.lookup(directory, `${entry.name}\x01`), undefined);
          if (entry.name !== "." && entry.name !== "..") names++;
        }
        assert.equal(view.lookup(directory, ""), undefined);
        assert.equal(view.lookup(directory, "\xff\xff"), undefined);
        assert.equal(view.lookup(directory, "."), directory.nid);
      });
      assert.equal(names, view.inodeCount);
    });
  }

  it("shows of a written tree every inode as it is", () => {
    fc.assert(
      fc.property(randomImage, (image) => {
        const view = new BootstrapView(writeBootstrap(image).bytes);
        const links = countLinks(listTree(image.root));
        const compare = (nid: number, parent: number, inode: Inode): void => {
          const record = view.inode(nid);
          assert.deepEqual(
            view.xattrs(record),
            new Map([...inode.xattrs].sort(([a], [b]) => (a < b ? -1 : 1))),
          );
          if (inode.type !== "dir") {
            assert.equal(record.nlink, links.get(inode));
            return;
          }
          const children = [...inode.children.values()];
          assert.equal(record.nlink, 2 + children.filter(({ type }) => type === "dir").length);
          const listed = [...view.entries(record)].map(({ name }) => name);
          assert.deepEqual(listed, [...inode.children.keys(), ".", ".."].sort());
          assert.equal(view.lookup(record, ".."), parent);
          for (const [name, child] of inode.children) compare(view.lookup(record, name) ?? 0, nid, child);
        };
        compare(view.rootNid, view.rootNid, image.root);
      }),
      { numRuns: 40 },
    );
  });

  it("goes on listing at any position", () => {
    const view = new BootstrapView(goldenBootstrap("made/v6-chunk-0x1000").bytes);
    let blocks = 0;
    walk(view, (directory) => {
      const all = [...view.entries(directory)];
      blocks = Math.max(blocks, Math.ceil(directory.size / view.blockSize));
      all.forEach((entry: Dentry, index) => {
        const rest = [...view.entriesFrom(directory, entry.nextPosition)];
        assert.deepEqual(rest, all.slice(index + 1));
      });
    });
    assert.ok(blocks > 1, "the image has a directory of several blocks");
  });

  it("lists nothing at positions that never were", () => {
    const view = new BootstrapView(goldenBootstrap("made/merged").bytes);
    for (const position of [-1, 0.5, 511, 2 ** 40, 2 ** 64, Number.NaN]) {
      assert.deepEqual([...view.entriesFrom(view.inode(view.rootNid), position)], []);
    }
  });

  it("works on shared memory", () => {
    const bytes = goldenBootstrap("made/merged").bytes;
    const shared = new Uint8Array(new SharedArrayBuffer(bytes.length));
    shared.set(bytes);
    const names = (view: BootstrapView): string[] =>
      [...view.entries(view.inode(view.rootNid))].map(({ name }) => name);
    assert.deepEqual(names(new BootstrapView(shared)), names(new BootstrapView(bytes)));
  });

  it("throws ERR_BOOTSTRAP_CORRUPT for inodes outside the image", () => {
    const view = new BootstrapView(goldenBootstrap("made/merged").bytes);
    for (const nid of [0, -1, 640, 2 ** 31, 2 ** 53 - 1, Number.NaN]) {
      assert.throws(
        () => view.inode(nid),
        (error) => isCoded(error, "ERR_BOOTSTRAP_CORRUPT"),
      );
    }
  });

  it("throws ERR_BOOTSTRAP_CORRUPT for a chunk that no blob has", () => {
    const bytes = new Uint8Array(goldenBootstrap("made/merged").bytes);
    const view = new BootstrapView(bytes);
    const file = [...view.entries(view.inode(view.lookup(view.inode(view.rootNid), "bin") ?? 0))]
      .map(({ nid }) => view.inode(nid))
      .find((inode) => (inode.mode & 0o170000) === 0o100000 && inode.size > 0);
    assert.ok(file !== undefined);
    const array = Math.ceil(file.bodyOffset / 8) * 8;
    // Device 0 is the bootstrap itself, 4 is one more than there are, and no blob has 2^24 - 1 chunks.
    for (const [device, high] of [
      [0, 0],
      [4, 0],
      [1, 0xff],
    ] as const) {
      bytes[array + 2] = device;
      bytes[array + 3] = high;
      assert.throws(
        () => view.chunkIndex(file, 0),
        (error) => isCoded(error, "ERR_BOOTSTRAP_CORRUPT"),
      );
    }
    assert.throws(() => view.chunkIndex(file, view.chunkCount(file)), RangeError);
  });

  it("reads compact inodes, their time being that of the build", () => {
    const root: Directory = {
      type: "dir",
      mode: 0o755,
      uid: 7,
      gid: 8,
      mtime: { seconds: 9, nanoseconds: 10 },
      xattrs: new Map(),
      children: new Map(),
    };
    const { bytes } = writeBootstrap({
      root,
      blobs: [],
      chunkSize: 4096,
      compressor: "none",
      digester: "sha256",
      prefetch: [],
    });
    const view = new DataView(bytes.buffer);
    view.setBigUint64(1024 + 24, 11n, true);
    view.setUint32(1024 + 32, 12, true);
    const body = bytes.slice(4096 + 64, 4096 + 128);
    const inode = new DataView(bytes.buffer, 4096);
    // format, xattr count, mode, nlink, size, reserved, union, ino, uid and gid
    [inode.getUint16(0, true) - 1, 0, 0o040755, 2].forEach((word, index) => {
      inode.setUint16(index * 2, word, true);
    });
    inode.setUint32(8, inode.getUint32(8, true), true);
    inode.setUint32(12, 0, true);
    inode.setUint16(24, 7, true);
    inode.setUint16(26, 8, true);
    inode.setUint32(28, 0, true);
    bytes.set(body, 4096 + 32);

    const compact = new BootstrapView(bytes);
    const record = compact.inode(128);
    const { nlink, uid, gid, mtimeSeconds, mtimeNanoseconds } = record;
    assert.deepEqual(
      { nlink, uid, gid, mtimeSeconds, mtimeNanoseconds },
      { nlink: 2, uid: 7, gid: 8, mtimeSeconds: 11, mtimeNanoseconds: 12 },
    );
    assert.deepEqual(
      [...compact.entries(record)].map(({ name, nid }) => [name, nid]),
      [
        [".", 128],
        ["..", 128],
      ],
    );
  });
});
