import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { CodedError } from "#src/base/errors.js";
import { ChunkWorkers } from "#src/codec/chunk-workers.js";
import { compressChunk } from "#src/codec/compress.js";
import { BlobWriter } from "#src/convert/blob-writer.js";
import type { ChunkBatch } from "#src/convert/chunk-cutter.js";
import { ChunkPipeline } from "#src/convert/chunk-pipeline.js";
import { checkConvertOptions } from "#src/convert/convert-options.js";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const workers = new ChunkWorkers(3);
after(() => workers[Symbol.asyncDispose]());

type Encode = ChunkWorkers["encode"];

/** One chunk of its own for each batch. */
function batches(count: number): ChunkBatch[] {
  return Array.from({ length: count }, (_, index) => ({
    buffer: new Uint8Array(8192).fill(97 + (index % 26)),
    sizes: Uint32Array.of(100 + index),
  }));
}

async function store(encode: Encode, compressor: "zstd" | "none", count: number): Promise<Uint8Array> {
  await using directory = await temporaryDirectory();
  const path = join(directory.path, "blob");
  const options = checkConvertOptions({ compressor });
  await using writer = await BlobWriter.create(path, { ...options, level: 3 });
  await using pipeline = new ChunkPipeline(writer, { encode }, options);
  const stored = batches(count).map((batch) => pipeline.store(batch));
  for (const buffer of await Promise.all(stored)) assert.equal(buffer.length, 8192);
  await pipeline.finish();
  const digests = new Uint8Array(32 * count);
  await writer.finish({ digests, duplicates: { count: 0, size: 0 } }, async () => new Uint8Array(4096));
  return await readFile(path);
}

describe("ChunkPipeline", () => {
  for (const compressor of ["zstd", "none"] as const) {
    it(`writes ${compressor} batches in the order they came, whichever is encoded first`, async () => {
      let running = 0;
      const shuffled: Encode = async (task) => {
        // The later ones of each few are through first.
        const delay = 4 - (running++ % 5);
        const encoded = await workers.encode(task);
        await new Promise((resolve) => setTimeout(resolve, 3 * delay));
        return encoded;
      };
      const blob = await store(shuffled, compressor, 40);
      const expected = batches(40).map(({ buffer, sizes }) =>
        Buffer.from(compressChunk(compressor, buffer.subarray(0, sizes[0])).bytes),
      );
      const chunks = Buffer.concat(expected);
      assert.deepEqual(Buffer.from(blob.subarray(0, chunks.length)), chunks);
    });
  }

  it("throws what a worker threw, for the batch and for those behind it", async () => {
    const failing: Encode = () => Promise.reject(new CodedError("ERR_WORKER_FAILED", "a worker failed"));
    await using directory = await temporaryDirectory();
    const options = checkConvertOptions({});
    await using writer = await BlobWriter.create(join(directory.path, "blob"), { ...options, level: 3 });
    await using pipeline = new ChunkPipeline(writer, { encode: failing }, options);
    const code = "ERR_WORKER_FAILED";
    for (const batch of batches(3)) await assert.rejects(pipeline.store(batch), { code });
    await assert.rejects(pipeline.finish(), { code });
  });
});
