import assert from "node:assert/strict";
import { open, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { Worker } from "node:worker_threads";
import type { Compressor } from "#src/base/algorithm.js";
import { BufferPool } from "#src/codec/buffer-pool.js";
import type { EncodeTask } from "#src/codec/chunk-tasks.js";
import { ChunkWorkers } from "#src/codec/chunk-workers.js";
import { compressChunk } from "#src/codec/compress.js";
import { digestChunk } from "#src/codec/digest.js";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const noise = (size: number, seed: number): Uint8Array => {
  let state = seed + 1;
  return Uint8Array.from({ length: size }, () => {
    state = (state * 48_271) % 0x7fff_ffff;
    return state >> 16;
  });
};
const text = (size: number, letter: number): Uint8Array => new Uint8Array(size).fill(letter);
const CHUNKS = [text(9000, 97), noise(5000, 1), text(1, 98), noise(1, 2), text(65536, 99), noise(300, 3)];

function encodeTask(compressor: Compressor, chunks: readonly Uint8Array[] = CHUNKS): EncodeTask {
  const buffer = new Uint8Array(2 ** 17);
  buffer.set(Buffer.concat(chunks));
  const sizes = Uint32Array.from(chunks, ({ length }) => length);
  return { kind: "encode", compressor, level: 3, buffer, sizes };
}

describe("ChunkWorkers", () => {
  for (const compressor of ["zstd", "lz4_block", "none"] as const) {
    it(`encodes with ${compressor} as the main thread does`, async () => {
      await using workers = new ChunkWorkers(2);
      const { buffer, storedSizes } = await workers.encode(encodeTask(compressor));
      const expected = CHUNKS.map((chunk) => compressChunk(compressor, chunk).bytes);
      assert.deepEqual(
        [...storedSizes],
        expected.map(({ length }) => length),
      );
      const stored = Buffer.concat(expected);
      assert.deepEqual(Buffer.from(buffer.subarray(0, stored.length)), stored);
    });
  }

  it("moves the buffer to the thread and back instead of copying it", async () => {
    await using workers = new ChunkWorkers(1);
    const task = encodeTask("zstd");
    const encoding = workers.encode(task);
    assert.equal(task.buffer.length, 0);
    assert.equal((await encoding).buffer.length, 2 ** 17);
  });

  it("gives every task its own result, whatever the order", async () => {
    await using workers = new ChunkWorkers(3);
    const chunks = Array.from({ length: 24 }, (_, index) => noise(index % 2 === 0 ? 100_000 : 10, index));
    const encoded = await Promise.all(chunks.map((chunk) => workers.encode(encodeTask("none", [chunk]))));
    assert.deepEqual(
      encoded.map(({ buffer, storedSizes }) => buffer.slice(0, storedSizes[0])),
      chunks,
    );
  });

  it("reads chunks from a file and names the one that does not decode", async () => {
    await using directory = await temporaryDirectory();
    await using workers = new ChunkWorkers(1);
    const path = join(directory.path, "chunks");
    const stored = CHUNKS.map((chunk) => compressChunk("zstd", chunk));
    await writeFile(path, Buffer.concat(stored.map(({ bytes }) => bytes)));
    await using file = await open(path, "r");
    const storedOffsets = new Float64Array(stored.length);
    let end = 0;
    for (const [index, { bytes }] of stored.entries()) {
      storedOffsets[index] = end;
      end += bytes.length;
    }
    const task = {
      kind: "read",
      fd: file.fd,
      compressor: "zstd",
      digester: "blake3",
      storedOffsets,
      storedSizes: Uint32Array.from(stored, ({ bytes }) => bytes.length),
      decodedSizes: Uint32Array.from(CHUNKS, ({ length }) => length),
      isCompressed: Uint8Array.from(stored, ({ isCompressed }) => Number(isCompressed)),
    } as const;
    const { digests, failed } = await workers.read(task);
    assert.equal(failed, undefined);
    assert.deepEqual(
      Buffer.from(digests),
      Buffer.concat(CHUNKS.map((chunk) => digestChunk("blake3", chunk))),
    );
    const longer = task.decodedSizes.map((size, index) => (index === 4 ? size + 1 : size));
    const wrong = await workers.read({ ...task, decodedSizes: longer });
    assert.deepEqual([wrong.failed?.position, wrong.failed?.failure.code], [4, "ERR_CODEC_FAILED"]);
    const beyond = storedOffsets.map((offset, index) => (index === 2 ? end : offset));
    const short = await workers.read({ ...task, storedOffsets: beyond });
    assert.deepEqual([short.failed?.position, short.failed?.failure.code], [2, "ERR_BLOB_CORRUPT"]);
  });

  it("throws the coded error of a task, and goes on", async () => {
    await using workers = new ChunkWorkers(1);
    await assert.rejects(workers.encode(encodeTask("gzip")), { code: "ERR_FEATURE_UNSUPPORTED" });
    assert.equal((await workers.encode(encodeTask("none"))).storedSizes.length, CHUNKS.length);
  });

  it("starts again after a rest", async () => {
    await using workers = new ChunkWorkers(2);
    for (let round = 0; round < 2; round++) {
      assert.equal((await workers.encode(encodeTask("zstd"))).storedSizes.length, CHUNKS.length);
      await workers.rest();
    }
  });

  it("fails the tasks of a thread that dies, and gives later ones to a new thread", async () => {
    const file = new URL("../../../dist/codec/chunk-worker.js", import.meta.url);
    const dying = `import { parentPort } from "node:worker_threads";
      parentPort.on("message", () => process.exit(7));`;
    const scripts = [new URL(`data:text/javascript,${encodeURIComponent(dying)}`)];
    await using workers = new ChunkWorkers(1, () => new Worker(scripts.pop() ?? file));
    const tasks = [1, 2, 3].map(() => workers.encode(encodeTask("zstd")));
    const ended = await Promise.allSettled(tasks);
    assert.deepEqual(
      ended.map((task) => (task.status === "rejected" ? task.reason.code : "done")),
      ["ERR_WORKER_FAILED", "ERR_WORKER_FAILED", "done"],
    );
    assert.equal((await workers.encode(encodeTask("zstd"))).storedSizes.length, CHUNKS.length);
  });

  it("rejects what is under way, and what comes later, when it is closed", async () => {
    const workers = new ChunkWorkers(1);
    const tasks = [1, 2, 3, 4].map(() => workers.encode(encodeTask("zstd")));
    const ended = Promise.allSettled(tasks);
    await workers[Symbol.asyncDispose]();
    const codes = (await ended).map((task) => (task.status === "rejected" ? task.reason.code : "done"));
    assert.deepEqual(codes, Array(4).fill("ERR_WORKER_FAILED"));
    await assert.rejects(workers.encode(encodeTask("zstd")), { code: "ERR_WORKER_FAILED" });
  });
});

describe("BufferPool", () => {
  it("makes no more buffers than it may, and hands them on in the order asked", async () => {
    const pool = new BufferPool(1, 8);
    const { signal } = new AbortController();
    const first = await pool.take(signal);
    const order: number[] = [];
    const second = pool.take(signal).then((buffer) => {
      order.push(2);
      pool.give(buffer);
    });
    const third = pool.take(signal).then(() => order.push(3));
    assert.deepEqual(order, []);
    pool.give(first);
    await Promise.all([second, third]);
    assert.deepEqual(order, [2, 3]);
  });

  it("does not lose a buffer to a waiter that was aborted", async () => {
    const pool = new BufferPool(1, 8);
    const stop = new AbortController();
    const first = await pool.take(stop.signal);
    const waiting = pool.take(stop.signal);
    stop.abort();
    await assert.rejects(waiting, { code: "ERR_ABORTED" });
    pool.give(first);
    assert.equal(await pool.take(new AbortController().signal), first);
  });
});
