import assert from "node:assert/strict";
import { fstatSync, writeSync } from "node:fs";
import { mkdtemp, readFile, rm, stat, symlink, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { CHUNK_MAP_HEADER_SIZE, decodeChunkMap, isChunkReady } from "#src/format/blob/chunk-map.js";
import { openCacheFile } from "#src/store/cache-file.js";
import { ChunkCache, type ChunkCacheOptions } from "#src/store/chunk-cache.js";
import { isReady } from "#src/store/ready-bits.js";
import { makeBlob } from "../support/chunked-blob.ts";

const { blob, chunks } = makeBlob(20);
let root = "";
let directory = "";

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "nydus-toolkit-"));
  directory = join(root, "cache");
});

afterEach(() => rm(root, { recursive: true }));

const dataPath = (): string => join(directory, `${blob.id}.blob.data`);
const mapPath = (): string => `${dataPath()}.chunk_map`;

function openCache(options: ChunkCacheOptions = {}): Promise<ChunkCache> {
  return ChunkCache.open(directory, blob, options);
}

async function durableChunks(): Promise<number[]> {
  const map = decodeChunkMap(await readFile(mapPath()), blob.table.count);
  return [...chunks.keys()].filter((index) => isChunkReady(map, index));
}

async function fill(cache: ChunkCache, indexes: Iterable<number> = chunks.keys()): Promise<void> {
  for (const index of indexes) await cache.write(index, chunks[index] as Uint8Array);
}

describe("ChunkCache", () => {
  it("makes a chunk ready when its bytes are written, and durable when they are flushed", async () => {
    await using cache = await openCache();
    await cache.write(9, chunks[9] as Uint8Array);
    assert.deepEqual([cache.isReady(9), cache.isReady(8), isReady(cache.ready, 9)], [true, false, true]);
    assert.deepEqual(await durableChunks(), []);
    assert.deepEqual(Buffer.from(await cache.read(9)), Buffer.from(chunks[9] as Uint8Array));
    await cache.flush();
    assert.deepEqual(await durableChunks(), [9]);
  });

  it("has files of nydusd's layout, for their owner only", async () => {
    await using cache = await openCache();
    await fill(cache);
    await cache.flush();
    assert.equal((await stat(dataPath())).size, blob.decodedSize);
    assert.equal((await stat(mapPath())).size, CHUNK_MAP_HEADER_SIZE + 3);
    const bits = (await readFile(mapPath())).subarray(CHUNK_MAP_HEADER_SIZE);
    assert.deepEqual([...bits], [0xff, 0xff, 0xf0]);
    const modes = await Promise.all([directory, dataPath(), mapPath()].map((path) => stat(path)));
    assert.deepEqual(
      modes.map(({ mode }) => mode & 0o777),
      [0o700, 0o600, 0o600],
    );
  });

  it("takes bits found in the file as claims and believes a chunk only after its digest", async () => {
    {
      await using cache = await openCache();
      await fill(cache);
    }
    const bytes = await readFile(dataPath());
    bytes[3 * 4096] = (bytes[3 * 4096] as number) ^ 1;
    await writeFile(dataPath(), bytes);

    await using cache = await openCache();
    assert.deepEqual([cache.isReady(2), cache.isClaimed(2), cache.isClaimed(3)], [false, true, true]);
    assert.deepEqual(Buffer.from((await cache.verifyClaimed(2)) ?? []), Buffer.from(chunks[2] as Uint8Array));
    assert.equal(await cache.verifyClaimed(3), undefined);
    assert.deepEqual([cache.isReady(2), cache.isReady(3), cache.isClaimed(3)], [true, false, false]);
    await cache.write(3, chunks[3] as Uint8Array);
    assert.ok(cache.isReady(3));
    assert.deepEqual(Buffer.from(await cache.read(3)), Buffer.from(chunks[3] as Uint8Array));
  });

  it("never writes again what is ready", async () => {
    await using cache = await openCache();
    await cache.write(0, chunks[0] as Uint8Array);
    await cache.write(0, new Uint8Array(4096));
    assert.deepEqual(Buffer.from(await cache.read(0)), Buffer.from(chunks[0] as Uint8Array));
  });

  it("writes bits after a number of chunks, or after a time", async () => {
    const scheduled: { task: () => void; delayMs: number }[] = [];
    await using cache = await openCache({
      flushChunks: 3,
      flushDelayMs: 500,
      schedule: (task, delayMs) => {
        scheduled.push({ task, delayMs });
        return () => {};
      },
    });
    await fill(cache, [0, 1]);
    assert.deepEqual(await durableChunks(), []);
    await fill(cache, [2]);
    await cache.flush();
    assert.deepEqual(await durableChunks(), [0, 1, 2]);
    await fill(cache, [7]);
    assert.deepEqual(
      scheduled.map(({ delayMs }) => delayMs),
      [500, 500],
    );
    scheduled.at(-1)?.task();
    await cache.flush();
    assert.deepEqual(await durableChunks(), [0, 1, 2, 7]);
  });

  it("keeps the bits that another process sets in the same bytes", async () => {
    const [left, right] = [await openCache(), await openCache()];
    for (const index of [...chunks.keys()]) await fill(index % 2 === 0 ? left : right, [index]);
    await Promise.all([left.flush(), right.flush()]);
    await Promise.all([left.close(), right.close()]);
    assert.deepEqual(await durableChunks(), [...chunks.keys()]);
  });

  it("sets its bits again when another process undid them between its read and its write", async () => {
    const cache = await openCache();
    await fill(cache, [0, 1]);
    await cache.flush();
    const map = await readFile(mapPath());
    map[CHUNK_MAP_HEADER_SIZE] = 0x10;
    await writeFile(mapPath(), map);
    await cache.close();
    assert.deepEqual(await durableChunks(), [0, 1, 3]);
  });

  it("returns ERR_CACHE_CORRUPT for files that are not its blob's, and deletes nothing", async () => {
    await (await openCache()).close();
    const damages: (readonly [string, () => Promise<void>])[] = [
      [mapPath(), () => truncate(mapPath(), CHUNK_MAP_HEADER_SIZE + 2)],
      [mapPath(), () => writeFile(mapPath(), Buffer.alloc(CHUNK_MAP_HEADER_SIZE + 3, 1))],
      [dataPath(), () => truncate(dataPath(), blob.decodedSize + 1)],
    ];
    for (const [path, damage] of damages) {
      await damage();
      const before = await readFile(path);
      await assert.rejects(openCache(), (error: Error & { code?: string }) => {
        assert.equal(error.code, "ERR_CACHE_CORRUPT");
        assert.ok(error.message.includes(path), error.message);
        return true;
      });
      assert.ok(before.equals(await readFile(path)));
      await rm(path);
      await (await openCache()).close();
    }
  });

  it("starts a map of zeros anew, and grows a file that was cut", async () => {
    await (await openCache()).close();
    await writeFile(mapPath(), Buffer.alloc(CHUNK_MAP_HEADER_SIZE + 3));
    await truncate(dataPath(), 100);
    await using cache = await openCache();
    await fill(cache, [5]);
    await cache.flush();
    assert.deepEqual(await durableChunks(), [5]);
    assert.equal((await stat(dataPath())).size, blob.decodedSize);
  });

  it("keeps the chunk information beside its blob, and refuses another", async () => {
    const metaPath = join(directory, `${blob.id}.blob.meta`);
    const metaBytes = new Uint8Array(8192).fill(1);
    await (await ChunkCache.open(directory, { ...blob, metaBytes })).close();
    await (await ChunkCache.open(directory, { ...blob, metaBytes })).close();
    assert.deepEqual(await readFile(metaPath), Buffer.from(metaBytes));
    for (const other of [new Uint8Array(8192), new Uint8Array(4096).fill(1)]) {
      await assert.rejects(ChunkCache.open(directory, { ...blob, metaBytes: other }), {
        code: "ERR_CACHE_CORRUPT",
      });
    }
    assert.deepEqual(await readFile(metaPath), Buffer.from(metaBytes));
  });

  it("returns ERR_CACHE_IO instead of following a symbolic link", async () => {
    await (await openCache()).close();
    const victim = join(root, "victim");
    await writeFile(victim, "");
    await rm(dataPath());
    await symlink(victim, dataPath());
    await assert.rejects(openCache(), { code: "ERR_CACHE_IO" });
    assert.equal((await stat(victim)).size, 0);
  });

  it("returns ERR_CACHE_IO when the folder cannot be made", async () => {
    const file = join(root, "file");
    await writeFile(file, "");
    await assert.rejects(ChunkCache.open(join(file, "cache"), blob), { code: "ERR_CACHE_IO" });
  });

  it("returns ERR_IMAGE_INVALID for an id that is not 64 hex digits", async () => {
    await assert.rejects(ChunkCache.open(directory, { ...blob, id: "../escape" }), {
      code: "ERR_IMAGE_INVALID",
    });
  });
});

describe("ChunkCache, when power may fail at any moment", () => {
  /** One call on a file of the cache, in the order in which writes start and syncs end. */
  type Call =
    | { readonly kind: "bytes"; readonly chunk: number }
    | { readonly kind: "bits"; readonly chunks: readonly number[] }
    /** A sync that started when the first `covered` calls had been made. */
    | { readonly kind: "synced"; readonly covered: number };

  function callOf(path: string, bytes: Uint8Array, position: number): Call | undefined {
    if (!path.endsWith(".chunk_map")) return { kind: "bytes", chunk: position / 4096 };
    if (position < CHUNK_MAP_HEADER_SIZE) return undefined;
    const first = (position - CHUNK_MAP_HEADER_SIZE) * 8;
    const marked = [...chunks.keys()].filter((index) => {
      const byte = bytes[(index - first) >> 3];
      return index >= first && byte !== undefined && (byte & (0x80 >> (index & 7))) !== 0;
    });
    return { kind: "bits", chunks: marked };
  }

  async function record(hasSync: boolean): Promise<Call[]> {
    const calls: Call[] = [];
    const openFile: NonNullable<ChunkCacheOptions["openFile"]> = async (path) => {
      const file = await openCacheFile(path);
      return new Proxy(file, {
        get(target, name) {
          if (name === "write") {
            return (bytes: Uint8Array, offset: number, length: number, position: number) => {
              const call = callOf(path, bytes.subarray(offset, offset + length), position);
              if (call !== undefined) calls.push(call);
              return target.write(bytes, offset, length, position);
            };
          }
          if (name === "datasync" && !hasSync) return () => Promise.resolve();
          if (name === "datasync") {
            return async () => {
              const covered = calls.length;
              await target.datasync();
              // A slow sync lets everything that wrongly does not wait for it run first.
              await new Promise((resolve) => setTimeout(resolve, 20));
              calls.push({ kind: "synced", covered });
            };
          }
          const value: unknown = Reflect.get(target, name);
          return typeof value === "function" ? value.bind(target) : value;
        },
      });
    };
    await using cache = await openCache({ flushChunks: 4, openFile });
    for (const index of chunks.keys()) {
      await cache.write(index, chunks[index] as Uint8Array);
      if (index % 5 === 0) await new Promise((resolve) => setTimeout(resolve, 15));
    }
    await cache.close();
    return calls;
  }

  /** The chunks whose bit could be on disk, at some moment, while their bytes need not be. */
  function unsafeChunks(calls: readonly Call[]): Set<number> {
    const unsafe = new Set<number>();
    const writtenAt = new Map<number, number>();
    let covered = 0;
    for (const [at, call] of calls.entries()) {
      if (call.kind === "bytes") writtenAt.set(call.chunk, at);
      else if (call.kind === "synced") covered = Math.max(covered, call.covered);
      else {
        for (const chunk of call.chunks) if ((writtenAt.get(chunk) ?? at) >= covered) unsafe.add(chunk);
      }
    }
    return unsafe;
  }

  it("writes a bit only after the bytes of its chunk were synced", async () => {
    const calls = await record(true);
    // How many chunks wait for one sync depends on the disk; all but the first batch may.
    assert.ok(calls.filter(({ kind }) => kind === "bits").length > 1);
    assert.deepEqual(unsafeChunks(calls), new Set());
  });

  it("would be caught without the sync", async () => {
    assert.equal(unsafeChunks(await record(false)).size, chunks.length);
  });

  it("keeps a chunk's bit off the disk until its sync resolved", async () => {
    let finishSync = (): void => {};
    const openFile: NonNullable<ChunkCacheOptions["openFile"]> = async (path) => {
      const file = await openCacheFile(path);
      file.datasync = () => new Promise<void>((resolve) => (finishSync = resolve));
      return file;
    };
    const cache = await openCache({ openFile });
    await fill(cache, [0]);
    const flushing = cache.flush();
    await new Promise((resolve) => setTimeout(resolve, 20));
    await fill(cache, [1]);
    assert.deepEqual(await durableChunks(), []);
    finishSync();
    await flushing;
    // Chunk 1 was written while the sync was under way: that sync proves nothing about it.
    assert.deepEqual(await durableChunks(), [0]);
    const closing = cache.close();
    await new Promise((resolve) => setTimeout(resolve, 20));
    finishSync();
    await closing;
    assert.deepEqual(await durableChunks(), [0, 1]);
  });

  it("writes no bit and takes the chunks back when the sync fails", async () => {
    const openFile: NonNullable<ChunkCacheOptions["openFile"]> = async (path) => {
      const file = await openCacheFile(path);
      file.datasync = () => Promise.reject(new Error("EIO: i/o error, fdatasync"));
      return file;
    };
    const cache = await openCache({ openFile });
    await fill(cache, [0, 1]);
    await assert.rejects(cache.flush(), { code: "ERR_CACHE_IO" });
    assert.deepEqual([cache.isReady(0), cache.isReady(1)], [false, false]);
    await assert.rejects(cache.write(2, chunks[2] as Uint8Array), { code: "ERR_CACHE_IO" });
    await assert.rejects(cache.close(), { code: "ERR_CACHE_IO" });
    assert.deepEqual(await durableChunks(), []);
  });
});

describe("ChunkCache.lend()", () => {
  const { signal } = new AbortController();

  it("makes a chunk ready when its borrower says so, and durable as any other", async () => {
    await using cache = await openCache();
    await cache.lend(signal, async ({ fd, wrote }) => {
      writeSync(fd, chunks[4] as Uint8Array, 0, undefined, blob.table.decodedOffsets[4]);
      assert.ok(!cache.isReady(4));
      wrote(4);
    });
    assert.deepEqual(Buffer.from(await cache.read(4)), Buffer.from(chunks[4] as Uint8Array));
    await cache.flush();
    assert.deepEqual(await durableChunks(), [4]);
  });

  it("stops its borrowers when the file is closed, and closes it only when they have ended", async () => {
    const cache = await openCache();
    const steps: string[] = [];
    const lending = cache.lend(signal, async ({ fd }, stop) => {
      await new Promise((resolve) => stop.addEventListener("abort", resolve));
      // A thread that is in the middle of a write.
      await delay(20);
      fstatSync(fd);
      steps.push("borrower ended");
    });
    await cache.close();
    steps.push("closed");
    await lending;
    assert.deepEqual(steps, ["borrower ended", "closed"]);
    await assert.rejects(
      cache.lend(signal, async () => {}),
      { code: "ERR_ABORTED" },
    );
  });

  it("takes nothing from a borrower when a sync failed meanwhile", async () => {
    const openFile: NonNullable<ChunkCacheOptions["openFile"]> = async (path) => {
      const file = await openCacheFile(path);
      file.datasync = () => Promise.reject(new Error("EIO: i/o error, fdatasync"));
      return file;
    };
    const cache = await openCache({ openFile });
    await fill(cache, [0]);
    const lending = cache.lend(signal, async ({ wrote }) => {
      await assert.rejects(cache.flush(), { code: "ERR_CACHE_IO" });
      wrote(1);
    });
    await assert.rejects(lending, { code: "ERR_CACHE_IO" });
    assert.ok(!cache.isReady(1));
    await assert.rejects(cache.close(), { code: "ERR_CACHE_IO" });
  });
});

describe("ChunkCache for two images in one folder", () => {
  /** The blob as another image describes it: same id and places, another digest of chunk 3. */
  const other = (): typeof blob => {
    const digests = new Uint8Array(blob.digests ?? []);
    digests[3 * 32] = (digests[3 * 32] ?? 0) ^ 1;
    return { ...blob, digests };
  };

  it("never changes the bytes of one under its readers when the other claims other chunks", async () => {
    await using honest = await openCache();
    await fill(honest);
    await using hostile = await ChunkCache.open(directory, other());
    await hostile.write(3, new Uint8Array(chunks[3]?.length ?? 0));
    assert.deepEqual(Buffer.from(await honest.read(3)), Buffer.from(chunks[3] as Uint8Array));
    assert.notEqual(hostile.dataPath, honest.dataPath);
  });

  it("keeps them apart whichever came first, also across runs and without digests at all", async () => {
    const { digests: _, ...unproven } = blob;
    await (await ChunkCache.open(directory, { ...unproven, digests: undefined })).close();
    await using honest = await openCache();
    await using again = await openCache();
    await using hostile = await ChunkCache.open(directory, other());
    const paths = [dataPath(), honest.dataPath, hostile.dataPath];
    assert.equal(new Set(paths).size, 3);
    assert.equal(again.dataPath, honest.dataPath);
  });

  it("shares the files when each names some of the same chunks", async () => {
    const digests = new Uint8Array(blob.digests ?? []).fill(0, 5 * 32, 9 * 32);
    await using all = await openCache();
    await using some = await ChunkCache.open(directory, { ...blob, digests });
    assert.equal(some.dataPath, all.dataPath);
  });
});
