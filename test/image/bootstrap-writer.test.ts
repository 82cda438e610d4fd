import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { byteString } from "#src/base/bytes.js";
import { type ErrorCode, isCoded } from "#src/base/errors.js";
import { MAX_XATTRS_SIZE } from "#src/format/erofs/xattr.js";
import { PLACEHOLDER_BLOB_ID } from "#src/format/rafs/blob-record.js";
import { BLOB_FEATURES, SUPER_FLAGS } from "#src/format/rafs/features.js";
import { readBootstrap } from "#src/image/bootstrap-reader.js";
import { BootstrapView } from "#src/image/bootstrap-view.js";
import { type WriteBootstrapOptions, writeBootstrap } from "#src/image/bootstrap-writer.js";
import type { Blob, Chunk } from "#src/image/chunk.js";
import { type Attributes, type Directory, type Image, type Inode, listTree } from "#src/image/tree.js";
import { buildBlob, buildChunk, randomImage } from "../support/random-image.ts";
import { treeRows } from "../support/tree-rows.ts";

const PLAIN: Attributes = {
  mode: 0o755,
  uid: 0,
  gid: 0,
  mtime: { seconds: 0, nanoseconds: 0 },
  xattrs: new Map(),
};

function dir(children: Readonly<Record<string, Inode>> | ReadonlyMap<string, Inode>): Directory {
  return {
    ...PLAIN,
    type: "dir",
    children: children instanceof Map ? children : new Map(Object.entries(children)),
  };
}

function file(chunks: readonly Chunk[]): Inode {
  return { ...PLAIN, type: "file", size: chunks.reduce((sum, chunk) => sum + chunk.decodedSize, 0), chunks };
}

function imageOf(root: Directory, blobs: readonly Blob[] = [], prefetch: readonly string[] = []): Image {
  return { root, blobs, chunkSize: 4096, compressor: "zstd", digester: "blake3", prefetch };
}

/** The chunks of every file, with the blob's id in the place of its number. */
function chunksOf(image: Image): unknown[] {
  return listTree(image.root).map(({ path, inode }) => [
    path,
    inode.type === "file"
      ? inode.chunks.map((chunk) => ({ ...chunk, blobIndex: image.blobs[chunk.blobIndex]?.id }))
      : undefined,
  ]);
}

describe("writeBootstrap()", () => {
  it("writes any tree so that it is read back the same", () => {
    fc.assert(
      fc.property(randomImage, (image) => {
        const { bytes, blobs } = writeBootstrap(image);
        const read = readBootstrap(bytes);
        assert.deepEqual(treeRows(read.root, read.recordedLinks), treeRows(image.root));
        assert.deepEqual(chunksOf(read), chunksOf(image));
        assert.deepEqual(read.blobs, blobs);
      }),
      { numRuns: 60 },
    );
  });

  it("gives the same bytes for the same image, whatever the order of children and xattrs", () => {
    const reversed = (inode: Inode): Inode => ({
      ...inode,
      xattrs: new Map([...inode.xattrs].reverse()),
      ...(inode.type === "dir"
        ? { children: new Map([...inode.children].reverse().map(([name, child]) => [name, reversed(child)])) }
        : {}),
    });
    const xattrs = new Map([
      ["user.b", Uint8Array.of(1)],
      ["security.capability", Uint8Array.of(2)],
      ["user.a", Uint8Array.of(3)],
    ]);
    const root = dir({ b: dir({ z: { ...dir({}), xattrs }, y: dir({}) }), a: { ...dir({}), xattrs } });
    const other = reversed(root) as Directory;
    assert.deepEqual(writeBootstrap(imageOf(root)).bytes, writeBootstrap(imageOf(other)).bytes);
  });

  it("drops blobs that nothing uses and numbers the others by first use", () => {
    const blobs = [3, 5, 7].map(buildBlob);
    const root = dir({ a: dir({ deep: file([buildChunk(0, 2, 9)]) }), b: file([buildChunk(2, 6, 8)]) });
    const written = writeBootstrap(imageOf(root, blobs));
    assert.deepEqual(written.blobs, [blobs[2], blobs[0]]);
    assert.deepEqual(readBootstrap(written.bytes).blobs, [blobs[2], blobs[0]]);
  });

  it("writes an image without blobs, its root still nid 128", () => {
    const { bytes, blobs } = writeBootstrap(imageOf(dir({ empty: file([]) }), [buildBlob(1, 0)], ["/"]));
    const view = new BootstrapView(bytes);
    assert.deepEqual(
      { blobs, rootNid: view.rootNid, metaOffset: view.metaOffset, size: bytes.length },
      { blobs: [], rootNid: 128, metaOffset: 0, size: 8192 },
    );
    assert.deepEqual(readBootstrap(bytes).prefetch, []);
  });

  it("marks the blob it will be part of, and takes the mark off any other", () => {
    const blob = { ...buildBlob(1, 0), id: "not known yet" };
    const image = imageOf(dir({ a: file([buildChunk(0, 0, 1)]) }), [blob]);
    const inline = readBootstrap(writeBootstrap(image, { inlineBlobIndex: 0 }).bytes);
    assert.equal(inline.blobs[0]?.id, PLACEHOLDER_BLOB_ID);
    assert.equal(
      (inline.blobs[0]?.features ?? 0) & BLOB_FEATURES.INLINED_FS_META,
      BLOB_FEATURES.INLINED_FS_META,
    );

    const named = { ...inline, blobs: inline.blobs.map((row) => ({ ...row, id: "ab".repeat(32) })) };
    const merged = readBootstrap(writeBootstrap(named).bytes);
    assert.deepEqual(merged.blobs[0], { ...blob, id: "ab".repeat(32) });
  });

  it("stores prefetch paths that lead to something, in their order", () => {
    const root = dir({ a: dir({ f: file([buildChunk(0, 0, 1)]), empty: file([]) }), l: dir({}) });
    const paths = ["/l", "/a/f", "/nowhere", "/a/f/below", "/a/empty", "/"];
    const { bytes } = writeBootstrap(imageOf(root, [buildBlob(1, 0)], paths));
    assert.deepEqual(readBootstrap(bytes).prefetch, ["/l", "/a/f", "/"]);
  });

  it("sets the flags of the widely readable subset, and the one for no encryption when asked", () => {
    const image = imageOf(dir({ a: file([buildChunk(0, 0, 1)]) }), [buildBlob(1, 0)]);
    const flagsOf = (options: WriteBootstrapOptions): number =>
      new BootstrapView(writeBootstrap(image, options).bytes).flags;
    const plain = SUPER_FLAGS.COMPRESSION_ZSTD | SUPER_FLAGS.DIGEST_BLAKE3 | SUPER_FLAGS.EXPLICIT_UID_GID;
    assert.deepEqual(
      [flagsOf({}), flagsOf({ statesNoEncryption: true })],
      [plain, plain | SUPER_FLAGS.ENCRYPTION_NONE],
    );
  });

  it("holds what is large", () => {
    const names = Array.from({ length: 100_000 }, (_, index) => [`n${index}`, file([])] as const);
    const chunks = Array.from({ length: 70_000 }, (_, index) => buildChunk(0, index, 4096));
    const root = dir({
      many: dir(new Map(names)),
      file: file(chunks),
      link: { ...PLAIN, type: "symlink", target: "t".repeat(4095) },
    });
    const image = imageOf(root, [buildBlob(70_000, 0)]);
    const { bytes } = writeBootstrap(image);
    const view = new BootstrapView(bytes);
    const at = (path: string): number =>
      path.split("/").reduce((nid, name) => view.lookup(view.inode(nid), name) ?? 0, view.rootNid);
    assert.equal(view.inode(at("many/n99999")).size, 0);
    assert.equal(view.lookup(view.inode(at("many")), "n100000"), undefined);
    assert.deepEqual(view.chunkIndex(view.inode(at("file")), 69_999), {
      blobIndex: 0,
      chunkIndex: 69_999,
      startBlock: 69_999,
    });
    assert.equal(byteString(view.readlink(view.inode(at("link")))), "t".repeat(4095));
    assert.equal(listTree(readBootstrap(bytes).root).length, 100_004);
  });

  const value = new Uint8Array(65_535);
  const loop = dir({});
  (loop.children as Map<string, Inode>).set("again", loop);
  const chunk = buildChunk(0, 0, 10);
  const REFUSED: readonly (readonly [what: string, code: ErrorCode, root: Directory])[] = [
    ["a name of 256 bytes", "ERR_LIMIT_EXCEEDED", dir({ ["n".repeat(256)]: file([]) })],
    ["a name with a slash", "ERR_IMAGE_INVALID", dir({ "a/b": file([]) })],
    ["a name that is ..", "ERR_IMAGE_INVALID", dir({ "..": file([]) })],
    ["a name that is no byte string", "ERR_IMAGE_INVALID", dir({ "\u0100": file([]) })],
    [
      "a link target of 4096 bytes",
      "ERR_LIMIT_EXCEEDED",
      dir({ l: { ...PLAIN, type: "symlink", target: "t".repeat(4096) } }),
    ],
    ["an empty link target", "ERR_IMAGE_INVALID", dir({ l: { ...PLAIN, type: "symlink", target: "" } })],
    [
      "a device major of 4096",
      "ERR_LIMIT_EXCEEDED",
      dir({ d: { ...PLAIN, type: "char", major: 4096, minor: 0 } }),
    ],
    [
      `xattrs of over ${MAX_XATTRS_SIZE} bytes`,
      "ERR_LIMIT_EXCEEDED",
      { ...dir({}), xattrs: new Map(["a", "b", "c", "d"].map((name) => [`user.${name}`, value])) },
    ],
    [
      "an xattr value of 65536 bytes",
      "ERR_LIMIT_EXCEEDED",
      { ...dir({}), xattrs: new Map([["user.a", new Uint8Array(65_536)]]) },
    ],
    [
      "an xattr without a prefix for it",
      "ERR_FEATURE_UNSUPPORTED",
      { ...dir({}), xattrs: new Map([["btrfs.a", value]]) },
    ],
    ["a directory inside itself", "ERR_IMAGE_INVALID", loop],
    [
      "a file with a chunk of the wrong size",
      "ERR_IMAGE_INVALID",
      dir({ f: { ...file([chunk]), size: 11 } as Inode }),
    ],
    ["a chunk that its blob does not have", "ERR_IMAGE_INVALID", dir({ f: file([buildChunk(0, 9, 10)]) })],
    ["a chunk without a digest", "ERR_IMAGE_INVALID", dir({ f: file([{ ...chunk, digest: undefined }]) })],
    [
      "a chunk described in two ways",
      "ERR_IMAGE_INVALID",
      dir({ f: file([chunk]), g: file([{ ...chunk, digest: new Uint8Array(32) }]) }),
    ],
    [
      "an mtime that is no time",
      "ERR_IMAGE_INVALID",
      { ...dir({}), mtime: { seconds: 0.5, nanoseconds: 0 } },
    ],
  ];
  for (const [what, code, root] of REFUSED) {
    it(`refuses ${what}`, () => {
      assert.throws(
        () => writeBootstrap(imageOf(root, [buildBlob(1, 0)])),
        (error) => isCoded(error, code),
      );
    });
  }

  it("refuses blobs that no reader would open", () => {
    const root = dir({ f: file([chunk]) });
    for (const [code, wrong] of [
      ["ERR_IMAGE_INVALID", { id: "short" }],
      ["ERR_IMAGE_INVALID", { chunkSize: 8192 }],
      ["ERR_FEATURE_UNSUPPORTED", { chunkInformation: undefined }],
      ["ERR_FEATURE_UNSUPPORTED", { features: BLOB_FEATURES.ALIGNED | BLOB_FEATURES.EXTERNAL }],
    ] as const) {
      assert.throws(
        () => writeBootstrap(imageOf(root, [{ ...buildBlob(1, 0), ...wrong }])),
        (error) => isCoded(error, code),
      );
    }
  });
});
