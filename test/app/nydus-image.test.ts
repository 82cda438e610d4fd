import assert from "node:assert/strict";
import { copyFile, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { NydusImage, type NydusImageParts } from "#src/app/nydus-image.js";
import {
  type LocatedImage,
  locateNydusImage,
  openLocatedImage,
  openNydusImage,
} from "#src/app/open-nydus-image.js";
import { isZero } from "#src/base/bytes.js";
import { openLayoutSource } from "#src/layout/layout-source.js";
import type { BlobSource } from "#src/store/blob-source.js";
import { fixturePath } from "../support/fixtures.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const { signal } = new AbortController();
const TOC_BLOB = "571bc144e62f2df7092056375e57b2fb9771750bdb7382f5883e7f19c368a89f";
const CHUNK_TABLE_SIZE_OFFSET = 1152 + 32;

const layout = (name: string) => openLayoutSource(fixturePath("golden", "nydusify", name), name);

/** The ranges that a source was asked for. */
function counted(source: BlobSource): { source: BlobSource; reads: string[] } {
  const reads: string[] = [];
  return {
    reads,
    source: {
      name: source.name,
      size: (id, options) => source.size(id, options),
      read: (id, offset, length, options) => {
        reads.push(`${id.slice(0, 4)} ${offset}+${length}`);
        return source.read(id, offset, length, options);
      },
    },
  };
}

function withSource(image: NydusImage, parts: Partial<NydusImageParts>): NydusImage {
  const { name, outline, bootstrapBytes, source, metaFiles, selected, imageSource } = image;
  return new NydusImage({
    ...{ name, outline, bootstrapBytes, source, metaFiles, selected, imageSource },
    resources: undefined,
    ...parts,
  });
}

/** The image v6-toc without the chunk table of its bootstrap, whose blob `change` may alter. */
async function withoutChunkTable(
  directory: string,
  change: (blob: Buffer) => void = () => {},
): Promise<LocatedImage> {
  const folder = fixturePath("golden", "made", "v6-toc");
  const bootstrap = await readFile(join(folder, "bootstrap"));
  bootstrap.writeBigUInt64LE(0n, CHUNK_TABLE_SIZE_OFFSET);
  await writeFile(join(directory, "bootstrap"), bootstrap);
  await copyFile(join(folder, TOC_BLOB), join(directory, TOC_BLOB));
  const blob = await readFile(join(folder, TOC_BLOB));
  change(blob);
  await writeFile(join(directory, TOC_BLOB), blob);
  return locateNydusImage({ bootstrap: join(directory, "bootstrap"), blobDirs: [directory] }, { signal });
}

describe("openNydusImage()", () => {
  it("takes the Nydus manifest of the platform out of an index", async () => {
    await using source = layout("merged-platform");
    const platform = { os: "linux", architecture: "amd64" };
    await using image = await openNydusImage(source, { signal, platform });
    assert.equal(image.bootstrap.blobs.length, 3);
    assert.ok(image.selected?.manifest.layers.length === 4);
  });

  it("says when an index has nothing for the platform", async () => {
    await using source = layout("merged-platform");
    const platform = { os: "linux", architecture: "riscv64" };
    await assert.rejects(openNydusImage(source, { signal, platform }), { code: "ERR_IMAGE_NOT_FOUND" });
  });

  it("refuses an ordinary image", async () => {
    await using source = openLayoutSource(fixturePath("golden", "nydusify", "source"), "v1");
    await assert.rejects(openNydusImage(source, { signal }), { code: "ERR_IMAGE_INVALID" });
  });

  it("asks for the id of a blob that a bootstrap was inlined in, unless its file is named by it", async () => {
    const folder = fixturePath("golden", "made", "layer1");
    const where = { bootstrap: join(folder, "bootstrap"), blobDirs: [folder] };
    await assert.rejects(openNydusImage(where, { signal }), { code: "ERR_OPTION_INVALID" });

    const id = "9b9d0ff85919f0d6f3ad59b3fe36242305b70a914ac1187bd32e875ec3c0cecb";
    await using directory = await temporaryDirectory();
    const named = join(directory.path, `${id}.boot`);
    await copyFile(where.bootstrap, named);
    await using image = await openNydusImage({ bootstrap: named, blobDirs: [folder] }, { signal });
    assert.deepEqual(
      image.bootstrap.blobs.map((blob) => blob.id),
      [id],
    );
  });

  it("says when the file of the bootstrap is not there", async () => {
    const where = { bootstrap: "/nonexistent/bootstrap", blobDirs: [] };
    await assert.rejects(openNydusImage(where, { signal }), { code: "ERR_IMAGE_NOT_FOUND" });
  });
});

describe("NydusImage", () => {
  it("takes chunk tables from the bootstrap layer without a request", async () => {
    await using source = layout("native");
    await using opened = await openNydusImage(source, { signal });
    const { source: blobs, reads } = counted(opened.source);
    const loaded = await withSource(opened, { source: blobs }).loadBlobs({ signal });
    assert.deepEqual([loaded.map(({ table }) => table.count), reads], [[6, 10, 3], []]);
  });

  it("reads the same chunk tables out of the blobs, in one request each, where the layer has none", async () => {
    await using source = layout("native");
    await using opened = await openNydusImage(source, { signal });
    const { source: blobs, reads } = counted(opened.source);
    const fromBlobs = withSource(opened, { source: blobs, metaFiles: new Map() });
    const loaded = await fromBlobs.loadBlobs({ signal });
    await fromBlobs.loadBlobs({ signal });
    assert.equal(reads.length, 3);
    const expected = await opened.loadBlobs({ signal });
    assert.deepEqual(
      loaded.map(({ table }) => table),
      expected.map(({ table }) => table),
    );
  });

  it("does not take a table that holds only its header, as tools leave it for lz4", async () => {
    await using source = layout("lz4-64k");
    await using opened = await openNydusImage(source, { signal });
    const metaFiles = new Map([...opened.metaFiles].map(([id, bytes]) => [id, bytes.subarray(-4096)]));
    const { source: blobs, reads } = counted(opened.source);
    await withSource(opened, { source: blobs, metaFiles }).loadBlobs({ signal });
    assert.equal(reads.length, 3);
  });

  it("refuses a table of the bootstrap layer that contradicts the bootstrap", async () => {
    await using source = layout("native");
    await using opened = await openNydusImage(source, { signal });
    // Row 0: its stored size, and the stored offsets behind it, are the bootstrap's to confirm.
    for (const offset of [8, 15, 24]) {
      const metaFiles = new Map(
        [...opened.metaFiles].map(([id, bytes]) => {
          const changed = bytes.slice();
          changed[offset] = (changed[offset] ?? 0) ^ 0x10;
          return [id, changed];
        }),
      );
      const changed = withSource(opened, { metaFiles });
      await assert.rejects(changed.loadBlob(0, { signal }), { code: "ERR_BLOB_CORRUPT" }, `offset ${offset}`);
    }
  });

  it("knows no digest of chunks that no file of the image uses", async () => {
    await using source = layout("native");
    await using opened = await openNydusImage(source, { signal });
    const { digests } = await opened.loadBlob(1, { signal });
    const used = new Set(opened.chunksOf(1).map(({ index }) => index));
    assert.ok(digests !== undefined && used.size < 10);
    for (let index = 0; index < 10; index++) {
      assert.equal(isZero(digests.subarray(index * 32, index * 32 + 32)), !used.has(index));
    }
  });

  it("keeps loading for others when the first caller leaves", async () => {
    await using source = layout("native");
    await using opened = await openNydusImage(source, { signal });
    const image = withSource(opened, { metaFiles: new Map() });
    const first = new AbortController();
    const left = image.loadBlob(0, { signal: first.signal });
    const stays = image.loadBlob(0, { signal });
    first.abort();
    await assert.rejects(left, { code: "ERR_ABORTED" });
    assert.equal((await stays).table.count, 6);
  });

  it("takes digests from the blob when the bootstrap has none but proves them", async () => {
    await using directory = await temporaryDirectory();
    await using image = openLocatedImage(await withoutChunkTable(directory.path));
    const { digests, table } = await image.loadBlob(0, { signal });
    assert.ok(image.chunksOf(0).every(({ digest }) => digest === undefined));
    assert.equal(digests?.length, table.count * 32);
  });

  it("refuses digests of the blob that its table of contents does not prove", async () => {
    await using directory = await temporaryDirectory();
    // Reserved bytes of the last row: nothing but the digest of the table tells.
    const located = await withoutChunkTable(directory.path, (blob) => {
      blob[blob.length - 512 - 10] = 1;
    });
    await using image = openLocatedImage(located);
    await assert.rejects(image.loadBlob(0, { signal }), { code: "ERR_BLOB_CORRUPT" });
  });
});
