import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ChunkReader } from "#src/app/chunk-reader.js";
import { fileDigests } from "#src/app/file-digests.js";
import { openNydusImage } from "#src/app/open-nydus-image.js";
import { CodedError } from "#src/base/errors.js";
import { listTree } from "#src/image/tree.js";
import type { ChunkSource } from "#src/store/chunk-source.js";
import { DecodedSource } from "#src/store/decoded-source.js";
import { fixturePath, readJsonLines } from "../support/fixtures.ts";

const { signal } = new AbortController();

async function openImage() {
  const folder = fixturePath("golden", "made", "v6-zstd-blake3");
  return openNydusImage({ bootstrap: `${folder}/bootstrap`, blobDirs: [folder] }, { signal });
}

describe("ChunkReader", () => {
  it("reads every file of an image in few requests", async () => {
    await using image = await openImage();
    const source = new DecodedSource(image.source);
    const reader = new ChunkReader({ source, blobs: await image.loadBlobs({ signal }) });
    const names = listTree(image.bootstrap.root);
    const digests = await fileDigests(names, reader, { signal });
    const expected = readJsonLines("golden", "made", "v6-zstd-blake3", "nydusd.jsonl");
    for (const { path, inode } of names) {
      if (inode.type !== "file") continue;
      const row = expected.find((candidate) => candidate["path"] === path);
      assert.equal(digests.get(inode), row?.["sha256"], path);
    }
    assert.ok(source.counts.requests < 20, `${source.counts.requests} requests for 559 chunks`);
  });

  it("reads the same when it may keep next to nothing", async () => {
    await using image = await openImage();
    const blobs = await image.loadBlobs({ signal });
    const source = new DecodedSource(image.source);
    const names = listTree(image.bootstrap.root);
    const small = new ChunkReader({ source, blobs }, { keptSize: 1, runSize: 1 });
    const large = new ChunkReader({ source, blobs });
    assert.deepEqual(
      await fileDigests(names, small, { signal }),
      await fileDigests(names, large, { signal }),
    );
  });

  it("serves a chunk although a neighbour nobody asked for is broken", async () => {
    await using image = await openImage();
    const blobs = await image.loadBlobs({ signal });
    const inner = new DecodedSource(image.source);
    const broken: ChunkSource = {
      name: "broken",
      fetch: async (blob, run, options, sink) => {
        await inner.fetch(blob, { first: run.first, count: 1 }, options, sink);
        if (run.count > 1) throw new CodedError("ERR_CHUNK_CORRUPT", "neighbour");
      },
    };
    const reader = new ChunkReader({ source: broken, blobs });
    const file = listTree(image.bootstrap.root).find(({ inode }) => inode.type === "file" && inode.size > 0);
    assert.ok(file?.inode.type === "file");
    let size = 0;
    for await (const piece of reader.readFile(file.inode, { signal })) size += piece.length;
    assert.equal(size, file.inode.size);
  });
});
