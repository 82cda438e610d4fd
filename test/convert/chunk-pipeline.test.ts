import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { crc32 } from "node:zlib";
import fc from "fast-check";
import { CodedError } from "#src/base/errors.js";
import { BufferPool } from "#src/codec/buffer-pool.js";
import { digestChunk } from "#src/codec/digest.js";
import { BlobWriter } from "#src/convert/blob-writer.js";
import { ChunkLanes } from "#src/convert/chunk-lanes.js";
import { ChunkPipeline, type EncodingLanes } from "#src/convert/chunk-pipeline.js";
import { checkConvertOptions } from "#src/convert/convert-options.js";
import type { SourceChunk } from "#src/convert/source-chunk.js";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const signal = new AbortController().signal;
const OPTIONS = checkConvertOptions({ chunkSize: 4096, compressor: "none", jobs: 2 });
const BATCH_SIZE = 16_384;
const lanes = new ChunkLanes(OPTIONS);
after(() => lanes[Symbol.asyncDispose]());

/** Workers that get to their tasks only when `release` is called. */
function stalledLanes(count: number) {
  let release = (): void => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  const workers: EncodingLanes["workers"] = {
    encode: async (task) => {
      await released;
      return await lanes.workers.encode(task);
    },
  };
  return { release, lanes: { workers, buffers: new BufferPool(count, BATCH_SIZE) } };
}

/** `bytes` in pieces of the given sizes, then the rest. */
async function* inPieces(bytes: Uint8Array, sizes: readonly number[] = []): AsyncGenerator<Uint8Array> {
  let offset = 0;
  for (const size of [...sizes, bytes.length]) {
    yield bytes.subarray(offset, offset + size);
    offset += size;
  }
}

function bytesOf(size: number, seed: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, index) => (index * 31 + (index >> 8) * 7 + seed) & 0xff);
}

describe("ChunkPipeline", () => {
  it("cuts at multiples of the chunk size and stores in order, however the bytes come in", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat({ max: 30_000 }), fc.array(fc.nat({ max: 9000 }), { maxLength: 5 })), {
          maxLength: 12,
        }),
        async (files) => {
          await using directory = await temporaryDirectory();
          const path = join(directory.path, "blob");
          await using writer = await BlobWriter.create(path, { ...OPTIONS, level: 3 });
          const small = { workers: lanes.workers, buffers: new BufferPool(3, BATCH_SIZE) };
          await using pipeline = new ChunkPipeline(writer, small, OPTIONS, signal);
          const contents = files.map(([size], index) => bytesOf(size, index));
          const stored: (readonly SourceChunk[])[] = [];
          for (const [index, content] of contents.entries()) {
            stored.push(await pipeline.storeFile(inPieces(content, files[index]?.[1]), content.length));
          }
          await pipeline.finish();
          await writer.finish(() => new Uint8Array(4096));
          const blob = await readFile(path);
          let newest = -1;
          for (const [index, content] of contents.entries()) {
            const chunks = stored[index] ?? [];
            assert.equal(chunks.length, Math.ceil(content.length / OPTIONS.chunkSize));
            for (const [position, chunk] of chunks.entries()) {
              const start = position * OPTIONS.chunkSize;
              const expected = content.subarray(start, start + OPTIONS.chunkSize);
              const offset = chunk.storedOffset ?? 0;
              assert.deepEqual(new Uint8Array(blob.subarray(offset, offset + expected.length)), expected);
              assert.deepEqual(chunk.digest, digestChunk(OPTIONS.digester, expected));
              assert.equal(chunk.sum, crc32(expected));
              assert.ok(chunk.index <= newest + 1, "chunks are numbered as they come");
              newest = Math.max(newest, chunk.index);
            }
          }
        },
      ),
      { numRuns: 40 },
    );
  });

  it("reads no further than there are buffers", async () => {
    await using directory = await temporaryDirectory();
    const { lanes: stalled, release } = stalledLanes(2);
    await using writer = await BlobWriter.create(join(directory.path, "blob"), { ...OPTIONS, level: 3 });
    await using pipeline = new ChunkPipeline(writer, stalled, OPTIONS, signal);
    let read = 0;
    async function* content(): AsyncGenerator<Uint8Array> {
      for (; read < 100; read++) yield bytesOf(4096, read);
    }
    const storing = pipeline.storeFile(content(), 100 * 4096);
    for (let turn = 0; turn < 50; turn++) await new Promise(setImmediate);
    assert.equal(read, (2 * BATCH_SIZE) / 4096);
    release();
    await storing;
    await pipeline.finish();
    assert.equal(read, 100);
  });

  it("throws what a worker threw, also while it waits for a buffer", async () => {
    await using directory = await temporaryDirectory();
    await using writer = await BlobWriter.create(join(directory.path, "blob"), { ...OPTIONS, level: 3 });
    const failing: EncodingLanes = {
      workers: {
        encode: () => Promise.reject(new CodedError("ERR_WORKER_FAILED", "a worker thread failed")),
      },
      buffers: new BufferPool(1, BATCH_SIZE),
    };
    await using pipeline = new ChunkPipeline(writer, failing, OPTIONS, signal);
    const content = bytesOf(20 * 4096, 1);
    const code = "ERR_WORKER_FAILED";
    await assert.rejects(pipeline.storeFile(inPieces(content), content.length), { code });
    await assert.rejects(pipeline.finish(), { code });
  });

  it("stops waiting for a buffer when it is aborted", async () => {
    await using directory = await temporaryDirectory();
    await using writer = await BlobWriter.create(join(directory.path, "blob"), { ...OPTIONS, level: 3 });
    const { lanes: stalled, release } = stalledLanes(1);
    const stop = new AbortController();
    await using pipeline = new ChunkPipeline(writer, stalled, OPTIONS, stop.signal);
    const content = bytesOf(20 * 4096, 1);
    const storing = pipeline.storeFile(inPieces(content), content.length);
    setImmediate(() => stop.abort());
    await assert.rejects(storing, { code: "ERR_ABORTED" });
    release();
  });

  for (const [what, size] of [
    ["more", 4096],
    ["fewer", 8193],
  ] as const) {
    it(`refuses a file with ${what} bytes than it is said to have`, async () => {
      await using directory = await temporaryDirectory();
      await using writer = await BlobWriter.create(join(directory.path, "blob"), { ...OPTIONS, level: 3 });
      await using pipeline = new ChunkPipeline(writer, lanes, OPTIONS, signal);
      await assert.rejects(pipeline.storeFile(inPieces(bytesOf(8192, 1)), size), {
        code: "ERR_LAYER_INVALID",
      });
    });
  }
});
