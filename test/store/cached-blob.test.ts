import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { DirectorySource } from "#src/backend/directory-source.js";
import { orAborted } from "#src/base/abort.js";
import { isZero } from "#src/base/bytes.js";
import { CodedError, isCoded } from "#src/base/errors.js";
import { CachedBlob } from "#src/store/cached-blob.js";
import { CachedBlobs } from "#src/store/cached-blobs.js";
import { type CacheableBlob, ChunkCache } from "#src/store/chunk-cache.js";
import type { ChunkSource } from "#src/store/chunk-source.js";
import { DecodedSource } from "#src/store/decoded-source.js";
import { DEMAND, makeBlob, memoryBlobs } from "../support/chunked-blob.ts";
import { fixturePath, readFixture } from "../support/fixtures.ts";
import { goldenCacheableBlobs } from "../support/golden-cacheable.ts";

const made = makeBlob(20);
const { blob, chunks } = made;
const ALL = { first: 0, count: 20 };
const { signal } = DEMAND;
let root = "";

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "nydus-toolkit-"));
});

afterEach(() => rm(root, { recursive: true }));

async function open(source: ChunkSource = new DecodedSource(memoryBlobs(made))): Promise<CachedBlob> {
  return new CachedBlob(await ChunkCache.open(root, blob), source);
}

const NOBODY: ChunkSource = {
  name: "nobody",
  fetch: () => Promise.reject(new Error("the network was not to be asked")),
};

const dataPath = (): string => join(root, `${blob.id}.blob.data`);

async function damage(position: number): Promise<void> {
  const { atime, mtime } = await stat(dataPath());
  const bytes = await readFile(dataPath());
  bytes[position] = (bytes[position] as number) ^ 1;
  await writeFile(dataPath(), bytes);
  await utimes(dataPath(), atime, mtime);
}

/** Flips a bit of the stored byte at `position`. */
function flipAt(position: number): (bytes: Uint8Array, offset: number) => Uint8Array {
  return (bytes, offset) => bytes.map((byte, at) => (offset + at === position ? byte ^ 1 : byte));
}

/** Has no bytes from `end` on. */
function failBeyond(end: number): (bytes: Uint8Array, offset: number) => Uint8Array {
  return (bytes, offset) => {
    if (offset + bytes.length > end) throw new CodedError("ERR_BLOB_CORRUPT", "the blob ends early");
    return bytes;
  };
}

describe("CachedBlob", () => {
  it("has every chunk of a run in its file, and ready, when ensure() resolves", async () => {
    await using cached = await open();
    await cached.ensure({ first: 5, count: 4 }, DEMAND);
    assert.deepEqual(
      [...chunks.keys()].filter((index) => cached.cache.isReady(index)),
      [5, 6, 7, 8],
    );
    await cached.ensure(ALL, DEMAND);
    assert.ok(cached.isComplete);
    for (const [index, chunk] of chunks.entries()) {
      assert.deepEqual(Buffer.from(await cached.cache.read(index)), Buffer.from(chunk));
    }
    const { requests, hits, misses, fetchedChunks } = cached.counts;
    assert.deepEqual(
      { requests, hits, misses, fetchedChunks },
      {
        requests: 2,
        hits: 4,
        misses: 20,
        fetchedChunks: 20,
      },
    );
  });

  it("brings along, in the same request, the missing chunks behind the demanded one", async () => {
    const blobs = memoryBlobs(made);
    await using cached = await open(new DecodedSource(blobs));
    await cached.ensure({ first: 4, count: 1 }, DEMAND);
    await cached.ensure({ first: 4, count: 16 }, DEMAND);
    assert.equal(blobs.requests.length, 1);
    assert.equal(cached.counts.fetchedChunks, 16);
  });

  it("brings none along that the image does not use, nor for a prefetch", async () => {
    const digests = (blob.digests as Uint8Array).slice().fill(0, 6 * 32, 7 * 32);
    const cache = await ChunkCache.open(root, { ...blob, digests });
    const blobs = memoryBlobs(made);
    await using cached = new CachedBlob(cache, new DecodedSource(blobs));
    await cached.ensure({ first: 4, count: 1 }, DEMAND);
    await cached.ensure({ first: 5, count: 1 }, DEMAND);
    await cached.ensure({ first: 10, count: 1 }, { class: "prefetch", signal });
    const { storedOffsets, storedSizes } = blob.table;
    const lengthOf = (first: number, last: number): number =>
      (storedOffsets[last] as number) + (storedSizes[last] as number) - (storedOffsets[first] as number);
    assert.deepEqual(
      blobs.requests.map(({ length }) => length),
      [lengthOf(4, 5), lengthOf(10, 10)],
    );
  });

  it("gives a reader its chunk though a neighbour behind it is damaged or beyond the end", async () => {
    const { storedOffsets } = blob.table;
    const cut = storedOffsets[6] as number;
    for (const tamper of [flipAt(cut), failBeyond(cut)]) {
      const folder = await mkdtemp(join(root, "cache-"));
      const source = new DecodedSource(memoryBlobs(made, tamper));
      await using cached = new CachedBlob(await ChunkCache.open(folder, blob), source);
      await cached.ensure({ first: 4, count: 2 }, DEMAND);
      assert.deepEqual(
        [4, 5, 6].map((index) => cached.cache.isReady(index)),
        [true, true, false],
      );
      await assert.rejects(cached.ensure({ first: 6, count: 1 }, DEMAND));
    }
  });

  it("reads a chunk once, however many ask at the same time", async () => {
    const blobs = memoryBlobs(made);
    await using cached = await open(new DecodedSource(blobs));
    await Promise.all(Array.from({ length: 10 }, () => cached.ensure({ first: 4, count: 1 }, DEMAND)));
    assert.equal(blobs.requests.length, 1);
    await cached.ensure({ first: 4, count: 1 }, DEMAND);
    assert.equal(blobs.requests.length, 1);
  });

  it("goes on for the second caller when the first one leaves", async () => {
    const first = new AbortController();
    const blobs = memoryBlobs(made, (bytes) => {
      first.abort();
      return bytes;
    });
    await using cached = await open(new DecodedSource(blobs));
    const left = cached.ensure({ first: 0, count: 2 }, { ...DEMAND, signal: first.signal });
    const stayed = cached.ensure({ first: 0, count: 2 }, DEMAND);
    await assert.rejects(left, { code: "ERR_ABORTED" });
    await stayed;
    assert.equal(blobs.requests.length, 1);
  });

  it("keeps nothing of a source whose bytes are wrong", async () => {
    const blobs = memoryBlobs(made, (bytes) => bytes.fill(0x55));
    await using cached = await open(new DecodedSource(blobs));
    await assert.rejects(cached.ensure(ALL, DEMAND), { code: "ERR_CHUNK_CORRUPT" });
    assert.ok(chunks.every((_, index) => !cached.cache.isReady(index)));
    assert.ok((await readFile(dataPath())).every((byte) => byte === 0));
  });

  it("reads nothing again that an earlier run left, and only what is damaged from the network", async () => {
    {
      await using cached = await open();
      await cached.ensure(ALL, DEMAND);
    }
    {
      await using cached = await open(NOBODY);
      await cached.ensure(ALL, DEMAND);
      assert.deepEqual([cached.counts.claimsVerified, cached.counts.fetchedChunks], [20, 0]);
    }
    await damage(6 * 4096);
    const blobs = memoryBlobs(made);
    await using cached = await open(new DecodedSource(blobs));
    await cached.ensure(ALL, DEMAND);
    assert.deepEqual([cached.counts.claimsRefused, cached.counts.fetchedChunks], [1, 1]);
    assert.deepEqual(Buffer.from(await cached.cache.read(6)), Buffer.from(chunks[6] as Uint8Array));
  });
});

describe("CachedBlob.verifyWhole()", () => {
  const recordPath = (): string => `${dataPath()}.verified`;

  async function fillWhole(): Promise<void> {
    await using cached = await open();
    await cached.ensure(ALL, DEMAND);
    assert.equal(await cached.verifyWhole(signal), true);
  }

  it("is false while a chunk is missing, and never asks the network", async () => {
    {
      await using cached = await open();
      await cached.ensure({ first: 0, count: 19 }, { class: "prefetch", signal });
      assert.equal(await cached.verifyWhole(signal), false);
    }
    await using cached = await open(NOBODY);
    assert.equal(await cached.verifyWhole(signal), false);
    await assert.rejects(stat(recordPath()), { code: "ENOENT" });
  });

  it("believes its record while the file is unchanged, without reading it", async () => {
    await fillWhole();
    await using cached = await open(NOBODY);
    assert.equal(await cached.verifyWhole(signal), true);
    assert.deepEqual([cached.isComplete, cached.counts.claimsVerified], [true, 0]);
  });

  it("reads every chunk again when the file was changed since, and finds the damage", async () => {
    await fillWhole();
    await damage(3 * 4096);
    await using cached = await open(NOBODY);
    assert.equal(await cached.verifyWhole(signal), false);
    assert.equal(cached.cache.isReady(3), false);
  });

  it("does not believe a record of other digests, of another version, or of garbage", async () => {
    await fillWhole();
    const good = JSON.parse(await readFile(recordPath(), "utf8")) as object;
    const others = [{ chunkDigests: "0".repeat(64) }, { version: 2 }, { mtimeNs: 1 }, { size: 1 }];
    for (const text of [...others.map((other) => JSON.stringify({ ...good, ...other })), "", "null", "{"]) {
      await writeFile(recordPath(), text);
      await using cached = await open(NOBODY);
      assert.equal(await cached.cache.trustVerifiedRecord(), false, text);
    }
  });

  it("is false for a blob without digests, and leaves out chunks without one, which no file uses", async () => {
    const oneUnknown = (blob.digests as Uint8Array).slice().fill(0, 32, 64);
    for (const [digests, isWhole] of [
      [undefined, false],
      [oneUnknown, true],
    ] as const) {
      const cache = await ChunkCache.open(join(root, `${digests?.length}`), { ...blob, digests });
      await using cached = new CachedBlob(cache, new DecodedSource(memoryBlobs(made)));
      await cached.ensure({ first: 2, count: blob.table.count - 2 }, DEMAND);
      await cached.ensure({ first: 0, count: 1 }, DEMAND);
      assert.deepEqual([cached.isComplete, await cached.verifyWhole(signal)], [false, isWhole]);
    }
  });

  it("refuses a demanded chunk without a digest where others have one, and writes nothing in its place", async () => {
    const digests = (blob.digests as Uint8Array).slice().fill(0, 32, 64);
    await using cache = await ChunkCache.open(root, { ...blob, digests });
    await using cached = new CachedBlob(cache, new DecodedSource(memoryBlobs(made)));
    const run = { first: 0, count: 3 };
    await assert.rejects(cached.ensure(run, DEMAND), (error) => isCoded(error, "ERR_CHUNK_CORRUPT"));
    await cached.ensure(run, { ...DEMAND, class: "prefetch" });
    assert.deepEqual(
      [0, 1, 2].map((index) => cache.isReady(index)),
      [true, false, true],
    );
  });
});

function cachedBlobs(blobs: readonly CacheableBlob[], source: ChunkSource): CachedBlobs {
  return new CachedBlobs({ load: async (row) => blobs[row] as CacheableBlob, source, directory: root });
}

describe("CachedBlobs", () => {
  /** Blobs whose opening waits until `release` is called, or its own signal fires. */
  function slowBlobs(): { readonly blobs: CachedBlobs; readonly release: () => void } {
    let release = (): void => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    const load = async (_row: number, options: { readonly signal: AbortSignal }): Promise<CacheableBlob> => {
      await orAborted(released, options.signal);
      return blob;
    };
    return { blobs: new CachedBlobs({ load, source: NOBODY, directory: root }), release };
  }

  it("opens a blob for those who still wait when the one who asked first gives up", async () => {
    const { blobs, release } = slowBlobs();
    await using _ = blobs;
    const leaving = new AbortController();
    const first = blobs.open(0, { signal: leaving.signal });
    const second = blobs.open(0, { signal });
    leaving.abort();
    await assert.rejects(first, { code: "ERR_ABORTED" });
    release();
    assert.equal((await second).cache.blob.id, blob.id);
    assert.equal(await blobs.open(0, { signal }), await second);
  });

  it("gives up what is being opened when it is disposed", async () => {
    const { blobs } = slowBlobs();
    const opening = assert.rejects(blobs.open(0, { signal }), { code: "ERR_ABORTED" });
    await blobs[Symbol.asyncDispose]();
    await opening;
  });
});

describe("CachedBlobs, after everything of a golden image was read", () => {
  for (const name of ["v6-zstd-blake3"]) {
    it(`leaves the files that nydusd left, for ${name}`, async () => {
      const blobs = goldenCacheableBlobs(name);
      await using source = new DirectorySource([fixturePath("golden", "made", name)]);
      {
        await using cached = cachedBlobs(blobs, new DecodedSource(source));
        for (const [row, { table }] of blobs.entries()) {
          const cachedBlob = await cached.open(row, { signal });
          await cachedBlob.ensure({ first: 0, count: table.count }, DEMAND);
          assert.equal(await cachedBlob.verifyWhole(signal), true);
        }
      }
      for (const { id } of blobs) {
        const golden = (suffix: string): Uint8Array =>
          readFixture("golden", "made", name, "cache", `${id}.blob.${suffix}`);
        const ours = (suffix: string): Promise<Buffer> => readFile(join(root, `${id}.blob.${suffix}`));
        assert.ok((await ours("data.chunk_map")).equals(golden("data.chunk_map")));
        assert.ok((await ours("meta")).equals(golden("meta")));
        const sum = createHash("sha256")
          .update(await ours("data"))
          .digest("hex");
        assert.equal(sum, Buffer.from(golden("data.sha256")).toString().slice(0, 64));
      }
    });
  }

  for (const name of [
    "v6-none-blake3",
    "v6-lz4_block-sha256",
    "v6-zstd-sha256",
    "v6-chunk-0x1000000",
    "with-dict",
  ]) {
    it(`verifies every chunk of ${name} that its bootstrap names`, async () => {
      const blobs = goldenCacheableBlobs(name);
      const folders = [name, "dict"].map((folder) => fixturePath("golden", "made", folder));
      await using source = new DirectorySource(folders);
      const chunkSource = new DecodedSource(source);
      await using cached = cachedBlobs(blobs, chunkSource);
      for (const [row, { table }] of blobs.entries()) {
        const cachedBlob = await cached.open(row, { signal });
        await cachedBlob.ensure({ first: 0, count: table.count }, { ...DEMAND, class: "prefetch" });
        assert.ok(await cachedBlob.verifyWhole(signal));
      }
      const unnamed = blobs.flatMap(({ digests, table }) =>
        Array.from({ length: table.count }, (_, index) => digests?.subarray(index * 32, index * 32 + 32)),
      );
      const others = unnamed.filter((digest) => digest === undefined || isZero(digest)).length;
      assert.equal(others > 0, name === "with-dict");
      const { chunks, unverifiedChunks } = chunkSource.counts;
      assert.deepEqual([chunks, unverifiedChunks], [unnamed.length - others, 0]);
    });
  }
});
