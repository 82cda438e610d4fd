import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { byteString } from "#src/base/bytes.js";
import { CodedError } from "#src/base/errors.js";
import { BootstrapView } from "#src/image/bootstrap-view.js";
import { writeBootstrap } from "#src/image/bootstrap-writer.js";
import { countLinks, type Directory, type Image, type Inode, listTree } from "#src/image/tree.js";
import { Filesystem } from "#src/mount/filesystem.js";
import { goldenBootstrap } from "../support/golden-blobs.ts";
import { randomImage } from "../support/random-image.ts";

const TYPE_BITS = {
  fifo: 0o010000,
  char: 0o020000,
  dir: 0o040000,
  block: 0o060000,
  file: 0o100000,
  symlink: 0o120000,
  socket: 0o140000,
} as const;

/** The nid at a path, name by name. */
function walk(filesystem: Filesystem, path: string): number {
  let nid: number | undefined = filesystem.rootNid;
  for (const name of path === "." ? [] : path.split("/")) nid = filesystem.lookup(nid as number, name);
  return nid as number;
}

function subdirectories(directory: Directory): number {
  return [...directory.children.values()].filter(({ type }) => type === "dir").length;
}

/** Attributes as the tree has them, in the form of the filesystem. */
function modelAttributes(inode: Inode, links: ReadonlyMap<Inode, number>): Record<string, unknown> {
  return {
    mtimeSeconds: inode.mtime.seconds,
    mtimeNanoseconds: inode.mtime.nanoseconds,
    mode: TYPE_BITS[inode.type] + inode.mode,
    nlink: inode.type === "dir" ? 2 + subdirectories(inode) : links.get(inode),
    uid: inode.uid,
    gid: inode.gid,
    ...(inode.type === "file" ? { size: inode.size, blocks: Math.ceil(inode.size / 512) } : {}),
    ...(inode.type === "symlink" ? { size: inode.target.length } : {}),
  };
}

/** What the filesystem says, with only the fields that the model knows. */
function pick(found: object, model: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.keys(model).map((key) => [key, found[key as keyof typeof found]]));
}

/** Every name of a directory by way of positions: `step` names, then a new start, as readdir(3) does. */
function listInSteps(filesystem: Filesystem, nid: number, step: number): Map<string, number> {
  const names = new Map<string, number>();
  for (let position = 0, more = true; more; ) {
    more = false;
    let taken = 0;
    for (const entry of filesystem.entriesFrom(nid, position)) {
      names.set(entry.name, filesystem.entryType(entry));
      position = entry.nextPosition;
      more = true;
      if (++taken === step) break;
    }
  }
  return names;
}

function compareTree(image: Image, filesystem: Filesystem, step: number): void {
  const rows = listTree(image.root);
  const links = countLinks(rows);
  const nids = new Map<Inode, number>();
  for (const { path, inode } of rows) {
    const nid = walk(filesystem, path);
    // Names of one inode share its nid; nobody else has it.
    assert.equal(nids.get(inode) ?? nid, nid);
    nids.set(inode, nid);
    const model = modelAttributes(inode, links);
    const found = filesystem.attributes(nid);
    assert.equal(found.ino, nid);
    assert.deepEqual(pick(found, model), model);
    assert.deepEqual(
      new Map([...filesystem.xattrs(nid)].map(([name, value]) => [name, byteString(value)])),
      new Map([...inode.xattrs].map(([name, value]) => [name, byteString(value)])),
    );
    if (inode.type === "symlink") assert.equal(byteString(filesystem.readlink(nid)), inode.target);
    if (inode.type !== "dir") continue;
    const children = [...inode.children].map(
      ([name, child]) => [name, TYPE_BITS[child.type] >>> 12] as const,
    );
    assert.deepEqual(
      new Map([...listInSteps(filesystem, nid, step)].sort()),
      new Map<string, number>([...children, [".", 4] as const, ["..", 4] as const].sort()),
    );
    assert.equal(filesystem.lookup(nid, "no such name"), undefined);
  }
  assert.equal(new Set(nids.values()).size, nids.size);
}

describe("Filesystem", () => {
  it("shows a random tree as it is, however listings are cut", () => {
    fc.assert(
      fc.property(randomImage, fc.integer({ min: 1, max: 7 }), (image, step) => {
        compareTree(image, new Filesystem(new BootstrapView(writeBootstrap(image).bytes)), step);
      }),
      { numRuns: 40 },
    );
  });

  it("plans any read of a random file as the chunks the tree has", () => {
    fc.assert(
      fc.property(randomImage, fc.nat({ max: 40_000 }), fc.nat({ max: 40_000 }), (image, offset, size) => {
        const written = writeBootstrap(image);
        const filesystem = new Filesystem(new BootstrapView(written.bytes));
        for (const { path, inode } of listTree(image.root)) {
          const plan = filesystem.plan(walk(filesystem, path), offset, size);
          // The model: every byte of the read, named by blob, chunk and place in the chunk.
          const expected: string[] = [];
          const end = inode.type === "file" ? Math.min(inode.size, offset + size) : 0;
          for (let at = offset; at < end; at += 512) {
            const chunk = (inode.type === "file" ? inode.chunks : [])[Math.floor(at / image.chunkSize)];
            const blob = image.blobs[chunk?.blobIndex ?? -1]?.id;
            expected.push(`${blob} ${chunk?.index} ${at % image.chunkSize}`);
          }
          const found: string[] = [];
          let done = 0;
          for (const piece of plan.pieces) {
            for (let at = 0; at < piece.length; at++, done++) {
              if (done % 512 !== 0) continue;
              found.push(`${written.blobs[piece.blobIndex]?.id} ${piece.chunkIndex} ${piece.offset + at}`);
            }
          }
          assert.equal(done, plan.length);
          assert.equal(plan.length, Math.max(0, end - offset));
          assert.deepEqual(found, expected);
        }
      }),
      { numRuns: 40 },
    );
  });

  it("answers damaged images with coded errors, inode by inode", () => {
    const golden = goldenBootstrap("made/v6-zstd-blake3").bytes;
    const size = golden.length;
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 4096, max: size - 1 }), fc.nat({ max: 255 })), {
          minLength: 20,
          maxLength: 400,
        }),
        (changes) => {
          const bytes = golden.slice();
          for (const [at, value] of changes) bytes[at] = value;
          let filesystem: Filesystem;
          try {
            filesystem = new Filesystem(new BootstrapView(bytes));
          } catch (error) {
            assert.ok(error instanceof CodedError, String(error));
            return;
          }
          for (let nid = 1; nid < size / 32; nid += 3) {
            for (const call of [
              () => filesystem.attributes(nid),
              () => filesystem.readlink(nid),
              () => filesystem.xattrs(nid),
              () => filesystem.plan(nid, 0, 2 ** 20),
              () => [...filesystem.entriesFrom(nid, 0)].map((entry) => filesystem.entryType(entry)),
              () => filesystem.lookup(nid, "x"),
            ]) {
              try {
                call();
              } catch (error) {
                assert.ok(error instanceof CodedError, String((error as Error).stack));
              }
            }
          }
        },
      ),
      { numRuns: 15 },
    );
  });

  it("names the size of the image and its inodes", () => {
    const view = new BootstrapView(goldenBootstrap("made/v6-zstd-blake3").bytes);
    const decoded = view.blobRows.reduce((sum, { decodedSize }) => sum + decodedSize, 0);
    assert.deepEqual(new Filesystem(view).size(), {
      blocks: decoded / 4096,
      blockSize: 4096,
      files: view.inodeCount,
      nameLength: 255,
    });
  });
});
