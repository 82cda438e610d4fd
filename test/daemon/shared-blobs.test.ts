import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ImageBlobs, SharedBlobs } from "#src/daemon/shared-blobs.js";
import type { CacheableBlob } from "#src/store/chunk-cache.js";
import type { ChunkSource } from "#src/store/chunk-source.js";
import { DEMAND, giving, makeBlob } from "../support/chunked-blob.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const made = makeBlob(3);
const { signal } = DEMAND;
const ALL = { first: 0, count: 3 };

const good = (): ChunkSource => ({ name: "good", fetch: giving(made) });
/** A source that has no business being asked. */
const unasked = (): ChunkSource => ({
  name: "unasked",
  fetch: async () => {
    throw new Error("this source was not to be asked");
  },
});

/** An image of one blob. */
function imageOf(shared: SharedBlobs, blob: CacheableBlob, source: ChunkSource): ImageBlobs {
  return new ImageBlobs(shared, { load: async () => blob, source });
}

describe("SharedBlobs", () => {
  it("opens a blob once for images that agree on it, and closes it with the last", async () => {
    await using folder = await temporaryDirectory();
    const shared = new SharedBlobs(folder.path);
    const one = imageOf(shared, made.blob, good());
    const two = imageOf(shared, { ...made.blob }, unasked());
    const [left, right] = await Promise.all([one.open(0, { signal }), two.open(0, { signal })]);
    assert.equal(left, right);
    await left.ensure(ALL, DEMAND);
    await one[Symbol.asyncDispose]();
    assert.deepEqual([...shared.ids], [made.blob.id]);
    assert.deepEqual(Buffer.from(await right.cache.read(1)), Buffer.from(made.chunks[1] ?? []));
    await two[Symbol.asyncDispose]();
    assert.deepEqual([...shared.ids], []);
    await assert.rejects(right.cache.read(1), { code: "ERR_CACHE_IO" });
  });

  it("fetches from the image that is left when the one that opened the blob is gone", async () => {
    await using folder = await temporaryDirectory();
    const shared = new SharedBlobs(folder.path);
    const one = imageOf(shared, made.blob, unasked());
    const two = imageOf(shared, made.blob, good());
    await one.open(0, { signal });
    const blob = await two.open(0, { signal });
    await one[Symbol.asyncDispose]();
    await blob.ensure(ALL, DEMAND);
    assert.equal(blob.isComplete, true);
    await two[Symbol.asyncDispose]();
  });

  it("keeps images apart that claim other chunks of the same blob id", async () => {
    await using folder = await temporaryDirectory();
    const shared = new SharedBlobs(folder.path);
    const hostile = { ...made.blob, digests: new Uint8Array(3 * 32).fill(7) };
    const one = imageOf(shared, made.blob, good());
    const two = imageOf(shared, hostile, unasked());
    const [left, right] = [await one.open(0, { signal }), await two.open(0, { signal })];
    assert.notEqual(left, right);
    assert.notEqual(left.cache.dataPath, right.cache.dataPath);
    await Promise.all([one[Symbol.asyncDispose](), two[Symbol.asyncDispose]()]);
  });

  it("does not remember that a blob could not be opened", async () => {
    await using folder = await temporaryDirectory();
    const shared = new SharedBlobs(folder.path);
    let loads = 0;
    const image = new ImageBlobs(shared, {
      async load() {
        if (loads++ === 0) throw new Error("not now");
        return made.blob;
      },
      source: unasked(),
    });
    await assert.rejects(image.open(0, { signal }), /not now/);
    await image.open(0, { signal });
    await image[Symbol.asyncDispose]();
  });
});
