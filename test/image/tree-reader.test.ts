import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isCoded } from "#src/base/errors.js";
import { BOOTSTRAP_LIMITS } from "#src/image/bootstrap-limits.js";
import { readBootstrap } from "#src/image/bootstrap-reader.js";
import { BootstrapView } from "#src/image/bootstrap-view.js";
import { writeBootstrap } from "#src/image/bootstrap-writer.js";
import type { Attributes, Directory, Inode } from "#src/image/tree.js";
import { buildBlob, buildChunk } from "../support/random-image.ts";

const PLAIN: Attributes = {
  mode: 0o755,
  uid: 0,
  gid: 0,
  mtime: { seconds: 0, nanoseconds: 0 },
  xattrs: new Map(),
};

function dir(children: Readonly<Record<string, Inode>>): Directory {
  return { ...PLAIN, type: "dir", children: new Map(Object.entries(children)) };
}

function file(index: number): Inode {
  return { ...PLAIN, type: "file", size: 10, chunks: [buildChunk(0, index, 10)] };
}

/** `bottom` below `levels` directories. */
function nestedWith(bottom: Directory, name: string, levels: number): Directory {
  let directory = bottom;
  for (let level = 0; level < levels; level++) directory = dir({ [name]: directory });
  return directory;
}

/** A small image whose bytes can be changed in places found by path. */
class Patient {
  readonly bytes: Uint8Array;
  readonly #view: DataView;
  readonly #tree: BootstrapView;

  constructor(root: Directory) {
    const image = { root, blobs: [buildBlob(9, 0)], chunkSize: 4096, prefetch: [] } as const;
    this.bytes = writeBootstrap({ ...image, compressor: "zstd", digester: "blake3" }).bytes;
    this.#view = new DataView(this.bytes.buffer);
    this.#tree = new BootstrapView(this.bytes);
  }

  nid(path: string): number {
    const names = path.split("/").filter((name) => name !== "");
    return names.reduce(
      (nid, name) => this.#tree.lookup(this.#tree.inode(nid), name) ?? 0,
      this.#tree.rootNid,
    );
  }

  setSize(path: string, size: number): void {
    this.#view.setBigUint64(this.#tree.inode(this.nid(path)).offset + 8, BigInt(size), true);
  }

  /** Position of a name's directory entry; the directory must be inline. */
  entry(folder: string, name: string): number {
    const directory = this.#tree.inode(this.nid(folder));
    const index = [...this.#tree.entries(directory)].findIndex((entry) => entry.name === name);
    return directory.bodyOffset + index * 12;
  }

  setNid(folder: string, name: string, nid: number): void {
    this.#view.setUint32(this.entry(folder, name), nid, true);
  }

  setType(folder: string, name: string, fileType: number): void {
    this.#view.setUint8(this.entry(folder, name) + 10, fileType);
  }

  rename(folder: string, name: string, character: string): void {
    const directory = this.#tree.inode(this.nid(folder));
    const nameOffset = this.#view.getUint16(this.entry(folder, name) + 8, true);
    this.bytes[directory.bodyOffset + nameOffset] = character.charCodeAt(0);
  }
}

const ROOT = dir({ a: dir({ x: file(0) }), b: dir({ y: file(1) }), c: file(2), d: file(3) });

const CORRUPTIONS: readonly (readonly [what: string, change: (patient: Patient) => void])[] = [
  ["a directory found a second time", (patient) => patient.setNid("/", "b", patient.nid("/a"))],
  ["a directory inside itself", (patient) => patient.setNid("/a", "x", patient.nid("/a"))],
  ["the root inside the tree", (patient) => patient.setNid("/", "a", patient.nid("/"))],
  ["two equal names", (patient) => patient.rename("/", "b", "a")],
  ["names out of order", (patient) => patient.rename("/", "c", "z")],
  ["a name with a slash", (patient) => patient.rename("/b", "y", "/")],
  ["a type that is not the inode's", (patient) => patient.setType("/", "c", 2)],
  ["a nid that leads nowhere", (patient) => patient.setNid("/", "c", 0x00ff_ffff)],
  ["a directory as large as the image", (patient) => patient.setSize("/a", patient.bytes.length)],
  [
    "directories that overlap",
    (patient) => {
      // Either of them fits in the image, both together do not.
      patient.setSize("/a", patient.bytes.length * 0.75);
      patient.setSize("/b", patient.bytes.length * 0.75);
    },
  ],
];

describe("TreeReader", () => {
  for (const [what, change] of CORRUPTIONS) {
    it(`throws ERR_BOOTSTRAP_CORRUPT for ${what}`, () => {
      const patient = new Patient(ROOT);
      readBootstrap(patient.bytes);
      change(patient);
      assert.throws(
        () => readBootstrap(patient.bytes),
        (error) => isCoded(error, "ERR_BOOTSTRAP_CORRUPT"),
      );
    });
  }

  it("makes one inode of names with one nid, and keeps a link count that is not theirs", () => {
    const patient = new Patient(ROOT);
    patient.setNid("/", "d", patient.nid("/c"));
    const { root, recordedLinks } = readBootstrap(patient.bytes);
    const first = root.children.get("c");
    assert.ok(first !== undefined);
    assert.equal(root.children.get("d"), first);
    assert.deepEqual(recordedLinks, new Map([[first, 1]]));
  });

  it("reads as deep as the writer writes, and neither goes on", () => {
    const nested = (levels: number): Directory => nestedWith(dir({}), "d", levels);
    let directory = readBootstrap(new Patient(nested(BOOTSTRAP_LIMITS.depth)).bytes).root;
    let depth = 0;
    for (let next = directory.children.get("d"); next?.type === "dir"; next = directory.children.get("d")) {
      directory = next;
      depth++;
    }
    assert.equal(depth, BOOTSTRAP_LIMITS.depth);
    assert.throws(
      () => new Patient(nested(BOOTSTRAP_LIMITS.depth + 1)),
      (error) => isCoded(error, "ERR_LIMIT_EXCEEDED"),
    );
  });

  it("refuses many names so deep down that their paths outgrow the image", () => {
    const name = "d".repeat(255);
    const levels = 2000;
    const chain = nestedWith(dir({ x: dir({}) }), name, levels - 1);
    const many = dir(Object.fromEntries(Array.from({ length: 1300 }, (_, index) => [`f${index}`, file(0)])));
    assert.throws(
      () => new Patient(dir({ chain: nestedWith(many, name, levels) })),
      (error) => isCoded(error, "ERR_LIMIT_EXCEEDED"),
    );

    const patient = new Patient(dir({ chain, many }));
    const deepest = `chain/${`${name}/`.repeat(levels - 1)}`;
    const inner = patient.nid(`${deepest}x`);
    patient.setNid(deepest, "x", patient.nid("many"));
    patient.setNid("/", "many", inner);
    assert.throws(
      () => readBootstrap(patient.bytes),
      (error) => isCoded(error, "ERR_LIMIT_EXCEEDED"),
    );
  });
});
