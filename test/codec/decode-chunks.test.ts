import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Compressor } from "#src/base/algorithm.js";
import type { DecodedRun, DecodeTask } from "#src/codec/chunk-tasks.js";
import { ChunkWorkers } from "#src/codec/chunk-workers.js";
import { compressChunk } from "#src/codec/compress.js";
import { decodeChunks } from "#src/codec/decode-chunks.js";
import { digestChunk } from "#src/codec/digest.js";

const CHUNKS = [
  Buffer.alloc(9000, "ab"),
  Buffer.from("stored raw"),
  Buffer.alloc(70_000, "text "),
  Buffer.alloc(1),
];

function taskOf(compressor: Compressor): DecodeTask {
  const stored = CHUNKS.map((chunk) => compressChunk(compressor, chunk));
  const sizes = stored.map(({ bytes }) => bytes.length);
  return {
    kind: "decode",
    compressor,
    digester: "sha256",
    buffer: new Uint8Array(Buffer.concat(stored.map(({ bytes }) => bytes))),
    offsets: Uint32Array.from(sizes, (_, at) => sizes.slice(0, at).reduce((sum, size) => sum + size, 0)),
    storedSizes: Uint32Array.from(sizes),
    decodedSizes: Uint32Array.from(CHUNKS, ({ length }) => length),
    isCompressed: Uint8Array.from(stored, ({ isCompressed }) => Number(isCompressed)),
  };
}

/** The task is done here, and in a thread. */
const PLACES = {
  "on the calling thread": async (task: DecodeTask): Promise<DecodedRun> => decodeChunks(task),
  "in a thread": async (task: DecodeTask): Promise<DecodedRun> => {
    await using workers = new ChunkWorkers(1);
    workers.start();
    return await workers.decode(task);
  },
};

for (const [place, decode] of Object.entries(PLACES)) {
  describe(`decodeChunks() ${place}`, () => {
    for (const compressor of ["zstd", "lz4_block", "none"] as const) {
      it(`decodes and digests chunks of ${compressor}, also those that are stored raw`, async () => {
        const { buffer, digests, failed } = await decode(taskOf(compressor));
        assert.deepEqual(Buffer.from(buffer), Buffer.concat(CHUNKS));
        const expected = CHUNKS.map((chunk) => digestChunk("sha256", chunk));
        assert.deepEqual([Buffer.from(digests), failed], [Buffer.concat(expected), undefined]);
      });
    }

    it("names the first chunk that does not decode, and keeps the ones before it", async () => {
      const task = taskOf("zstd");
      task.buffer[task.offsets[2] as number] = 0;
      const { buffer, digests, failed } = await decode(task);
      assert.deepEqual([failed?.position, failed?.failure.code], [2, "ERR_CODEC_FAILED"]);
      assert.deepEqual(Buffer.from(buffer.subarray(0, 9010)), Buffer.concat(CHUNKS.slice(0, 2)));
      const [first = Buffer.alloc(0)] = CHUNKS;
      assert.deepEqual(Buffer.from(digests.subarray(0, 32)), Buffer.from(digestChunk("sha256", first)));
    });

    it("returns ERR_LIMIT_EXCEEDED before it takes memory for absurd sizes", async () => {
      const task = taskOf("zstd");
      task.decodedSizes.fill(2 ** 31);
      await assert.rejects(decode(task), { code: "ERR_LIMIT_EXCEEDED" });
    });
  });
}
