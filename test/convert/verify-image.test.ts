import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { ChunkLanes } from "#src/convert/chunk-lanes.js";
import { convertLayer, tarLayer } from "#src/convert/convert-layer.js";
import { checkConvertOptions } from "#src/convert/convert-options.js";
import { mergeLayers } from "#src/convert/merge-layers.js";
import { type ReadBackBlob, readBackBlob } from "#src/convert/read-back-blob.js";
import { verifyBootstrap } from "#src/convert/verify-image.js";
import { findBlobSections } from "#src/format/blob/blob-sections.js";
import { decodeImageConfig } from "#src/format/oci/image-config.js";
import { decodeManifest } from "#src/format/oci/manifest.js";
import { writeBootstrap } from "#src/image/bootstrap-writer.js";
import type { Chunk } from "#src/image/chunk.js";
import type { Directory, Image, Inode, RegularFile } from "#src/image/tree.js";
import { openFixtureSource } from "../support/converted-image.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const signal = new AbortController().signal;
const OPTIONS = checkConvertOptions({ chunkSize: 4096, compressor: "none" });
const WATCH = { onRead: () => {}, onWait: () => {}, onWarning: () => {} };

const lanes = new ChunkLanes(OPTIONS);
after(() => lanes[Symbol.asyncDispose]());

let image: Image;
let blobs: Map<string, ReadBackBlob>;

/** Layer 1 of the fixture, converted, and its blob read again. */
before(async () => {
  await using directory = await temporaryDirectory();
  const layer = await convertFirstLayer(join(directory.path, "blob"));
  ({ image } = mergeLayers([layer], OPTIONS));
  const readBack = await readBackBlob(layer.file.path, OPTIONS, lanes.workers, signal);
  blobs = new Map([[layer.file.digest.slice(7), readBack]]);
});

async function convertFirstLayer(path: string) {
  await using source = openFixtureSource();
  const top = await source.resolve({ signal });
  const manifest = decodeManifest(top.bytes, top.descriptor.mediaType);
  assert.ok(manifest.kind === "manifest");
  const config = decodeImageConfig(await source.readDocument(manifest.config, { signal }));
  const [descriptor, diffId] = [manifest.layers[0], config.diffIds[0]];
  assert.ok(descriptor !== undefined && diffId !== undefined);
  return await convertLayer(tarLayer(source, descriptor, diffId, WATCH), path, lanes, OPTIONS, signal);
}

/** The tree with what `change` makes of every inode; names of one inode stay names of one inode. */
function changed(root: Directory, change: (inode: Inode, path: string) => Inode | undefined): Directory {
  const done = new Map<Inode, Inode | undefined>();
  const visit = (inode: Inode, path: string): Inode | undefined => {
    if (done.has(inode)) return done.get(inode);
    const result = change(inode, path);
    const full =
      result?.type === "dir"
        ? {
            ...result,
            children: new Map(
              [...result.children].flatMap(([name, child]) => {
                const next = visit(child, `${path}/${name}`);
                return next === undefined ? [] : [[name, next] as const];
              }),
            ),
          }
        : result;
    done.set(inode, full);
    return full;
  };
  const result = visit(root, "");
  assert.ok(result?.type === "dir");
  return result;
}

/** Whether the check accepts what a writer with this fault writes. */
function outcomeOf(fault: (inode: Inode, path: string) => Inode | undefined): string {
  const root = changed(image.root, fault);
  assert.notDeepEqual(root, image.root, "the fault must change something");
  const { bytes } = writeBootstrap({ ...image, root });
  try {
    verifyBootstrap("bootstrap", bytes, image.root, blobs);
    return "accepted";
  } catch (error) {
    return (error as { code: string }).code;
  }
}

function manyChunks(inode: Inode): inode is RegularFile {
  return inode.type === "file" && inode.chunks.length > 1;
}

describe("verifyBootstrap()", () => {
  it("accepts what the writer writes", () => {
    verifyBootstrap("bootstrap", writeBootstrap(image).bytes, image.root, blobs);
  });

  const faults: Readonly<Record<string, (inode: Inode, path: string) => Inode | undefined>> = {
    "drops an xattr": (inode) => (inode.xattrs.size > 0 ? { ...inode, xattrs: new Map() } : inode),
    "changes an xattr": (inode) => ({
      ...inode,
      xattrs: new Map([...inode.xattrs].map(([name, value]) => [name, new Uint8Array(value.length)])),
    }),
    "swaps two chunks": (inode) => {
      if (!manyChunks(inode)) return inode;
      const [first, second, ...rest] = inode.chunks;
      assert.ok(first !== undefined && second !== undefined);
      return { ...inode, chunks: [second, first, ...rest] };
    },
    "shifts an offset": (inode) =>
      manyChunks(inode)
        ? {
            ...inode,
            chunks: inode.chunks.map((chunk) => ({
              ...chunk,
              decodedOffset: chunk.decodedOffset === 0 ? 4096 : chunk.decodedOffset,
            })),
          }
        : inode,
    "loses a file": (inode) => (manyChunks(inode) ? undefined : inode),
    "loses a mode bit": (inode) => ({ ...inode, mode: inode.mode & ~0o001 }),
    "changes an owner": (inode) => (inode.type === "symlink" ? { ...inode, uid: 7 } : inode),
    "changes a time": (inode) =>
      inode.type === "file" ? { ...inode, mtime: { ...inode.mtime, nanoseconds: 1 } } : inode,
    "changes a group": (inode) => (inode.type === "file" ? { ...inode, gid: inode.gid + 1 } : inode),
    "changes the seconds of a time": (inode) =>
      inode.type === "dir"
        ? { ...inode, mtime: { ...inode.mtime, seconds: inode.mtime.seconds - 1 } }
        : inode,
    "cuts a file short": (inode) =>
      manyChunks(inode) ? { ...inode, size: inode.size - 1, chunks: shortened(inode.chunks) } : inode,
    "drops the last chunk": (inode) =>
      manyChunks(inode)
        ? { ...inode, size: (inode.chunks.length - 1) * 4096, chunks: inode.chunks.slice(0, -1) }
        : inode,
    "takes a chunk twice": (inode) => {
      const [first, , ...rest] = inode.type === "file" ? inode.chunks : [];
      return manyChunks(inode) && first !== undefined ? { ...inode, chunks: [first, first, ...rest] } : inode;
    },
    "changes the digest of a chunk": (inode) =>
      manyChunks(inode)
        ? {
            ...inode,
            chunks: inode.chunks.map((chunk) => ({ ...chunk, digest: new Uint8Array(32).fill(1) })),
          }
        : inode,
    "shifts where a chunk is stored": (inode) =>
      manyChunks(inode)
        ? {
            ...inode,
            chunks: inode.chunks.map((chunk) => ({ ...chunk, storedOffset: (chunk.storedOffset ?? 0) + 1 })),
          }
        : inode,
    "says that a chunk is stored in more bytes": (inode) =>
      manyChunks(inode)
        ? {
            ...inode,
            chunks: inode.chunks.map((chunk) => ({ ...chunk, storedSize: (chunk.storedSize ?? 0) + 1 })),
          }
        : inode,
    "changes the CRC-32C of a chunk": (inode) =>
      manyChunks(inode)
        ? { ...inode, chunks: inode.chunks.map((chunk) => ({ ...chunk, crc32c: 7 })) }
        : inode,
    "changes a link's target": (inode) =>
      inode.type === "symlink" ? { ...inode, target: `${inode.target}x` } : inode,
  };
  for (const [what, fault] of Object.entries(faults)) {
    it(`refuses what a writer writes that ${what}`, () => {
      assert.match(outcomeOf(fault), /^ERR_(IMAGE_DIFFERS|BOOTSTRAP_CORRUPT)$/);
    });
  }

  it("refuses two files whose chunks changed places after they were read", () => {
    // As when a thread gives the batches of a layer back in another order: all that was written agrees with itself.
    const readBack = [...blobs.values()][0];
    assert.ok(readBack !== undefined);
    const digests = readBack.digests.slice();
    digests.copyWithin(0, 32, 64);
    digests.set(readBack.digests.subarray(0, 32), 32);
    assert.notDeepEqual(digests, readBack.digests);
    const mixed = new Map([...blobs].map(([id, blob]) => [id, { ...blob, digests }]));
    const { bytes } = writeBootstrap(image);
    assert.throws(() => verifyBootstrap("bootstrap", bytes, image.root, mixed), {
      code: "ERR_IMAGE_DIFFERS",
    });
  });

  it("refuses a file that became two where the source has a hard link", () => {
    const linked = { ...anyFile(), mode: 0o600 };
    const root = (children: readonly (readonly [string, Inode])[]): Directory => ({
      ...image.root,
      children: new Map(children),
    });
    const source = root([
      ["one", linked],
      ["two", linked],
    ]);
    const apart = root([
      ["one", linked],
      ["two", { ...linked }],
    ]);
    const { bytes } = writeBootstrap({ ...image, root: apart });
    assert.throws(() => verifyBootstrap("bootstrap", bytes, source, blobs), { code: "ERR_IMAGE_DIFFERS" });
  });

  it("refuses a blob whose chunks lie elsewhere than its chunk information says", async () => {
    await using directory = await temporaryDirectory();
    const layer = await convertFirstLayer(join(directory.path, "blob"));
    const bytes = await readFile(layer.file.path);
    const { sections } = await findBlobSections(bytes.length, async (offset, length) =>
      bytes.subarray(offset, offset + length),
    );
    assert.equal(sections.get("image.blob")?.offset, 0);
    const [first, second] = [bytes.subarray(0, 4096), bytes.subarray(4096, 8192)];
    assert.notDeepEqual(first, second);
    const swapped = Buffer.concat([second, first, bytes.subarray(8192)]);
    await writeFile(layer.file.path, swapped);
    await assert.rejects(readBackBlob(layer.file.path, OPTIONS, lanes.workers, signal), {
      code: "ERR_BLOB_CORRUPT",
    });
  });
});

/** The chunks with one byte less in the last. */
function shortened<Piece extends Chunk>(chunks: readonly Piece[]): readonly Piece[] {
  const last = chunks.length - 1;
  return chunks.map((chunk, index) =>
    index === last ? { ...chunk, decodedSize: chunk.decodedSize - 1 } : chunk,
  );
}

function anyFile(): RegularFile {
  for (const inode of image.root.children.values()) if (inode.type === "file") return inode;
  throw new Error("no file in the root");
}
