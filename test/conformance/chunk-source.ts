import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { BlobSource } from "#src/store/blob-source.js";
import type { ChunkSource } from "#src/store/chunk-source.js";
import { DEMAND, gather, makeBlob, memoryBlobs } from "../support/chunked-blob.ts";

/** What every chunk source keeps, whatever it is made of. `make` builds one over blobs. */
export function testChunkSource(name: string, make: (blobs: BlobSource) => ChunkSource): void {
  const made = makeBlob(20);
  const { blob, chunks } = made;

  describe(`${name}, as a chunk source`, () => {
    it("gives every chunk of a run once, and no other", async () => {
      const source = make(memoryBlobs(made));
      for (const run of [
        { first: 0, count: 20 },
        { first: 7, count: 1 },
        { first: 3, count: 0 },
      ]) {
        const { found, sink } = gather();
        await source.fetch(blob, run, DEMAND, sink);
        const expected = chunks
          .slice(run.first, run.first + run.count)
          .map((chunk, at) => [run.first + at, chunk]);
        assert.deepEqual(found, new Map(expected as [number, Uint8Array][]));
      }
    });

    it("returns ERR_CHUNK_CORRUPT for wrong bytes and never gives them out", async () => {
      for (const change of [flip, cut, (bytes: Uint8Array) => bytes.fill(0)]) {
        const { found, sink } = gather();
        const source = make(memoryBlobs(made, change));
        await assert.rejects(source.fetch(blob, { first: 0, count: 20 }, DEMAND, sink), {
          code: "ERR_CHUNK_CORRUPT",
        });
        for (const [index, bytes] of found) assert.deepEqual(bytes, chunks[index]);
      }
    });

    it("returns ERR_CHUNK_NOT_FOUND for a run outside of the blob and for a blob that is not there", async () => {
      const source = make(memoryBlobs(made));
      for (const run of [
        { first: 19, count: 2 },
        { first: -1, count: 1 },
        { first: 0.5, count: 1 },
      ]) {
        await assert.rejects(
          source.fetch(blob, run, DEMAND, () => {}),
          { code: "ERR_CHUNK_NOT_FOUND" },
        );
      }
      const absent = { ...blob, id: "0".repeat(64) };
      await assert.rejects(
        source.fetch(absent, { first: 0, count: 1 }, DEMAND, () => {}),
        {
          code: "ERR_CHUNK_NOT_FOUND",
        },
      );
    });

    it("returns ERR_ABORTED when the signal has fired, or fires on the way", async () => {
      const early = AbortSignal.abort();
      const source = make(memoryBlobs(made));
      await assert.rejects(
        source.fetch(blob, { first: 0, count: 5 }, { ...DEMAND, signal: early }, () => {}),
        {
          code: "ERR_ABORTED",
        },
      );
      const controller = new AbortController();
      const slow = make(
        memoryBlobs(made, (bytes) => {
          controller.abort();
          return bytes;
        }),
      );
      const options = { ...DEMAND, signal: controller.signal };
      await assert.rejects(
        slow.fetch(blob, { first: 0, count: 5 }, options, () => {}),
        { code: "ERR_ABORTED" },
      );
    });

    it("works again after a failure", async () => {
      let isBroken = true;
      const source = make(memoryBlobs(made, (bytes) => (isBroken ? flip(bytes) : bytes)));
      await assert.rejects(source.fetch(blob, { first: 0, count: 4 }, DEMAND, () => {}));
      isBroken = false;
      const { found, sink } = gather();
      await source.fetch(blob, { first: 0, count: 4 }, DEMAND, sink);
      assert.equal(found.size, 4);
    });
  });
}

function flip(bytes: Uint8Array): Uint8Array {
  for (let at = 0; at < bytes.length; at += 16) bytes[at] = (bytes[at] as number) ^ 1;
  return bytes;
}

function cut(bytes: Uint8Array): Uint8Array {
  return bytes.subarray(0, bytes.length - 1);
}
