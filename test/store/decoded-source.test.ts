import assert from "node:assert/strict";
import { mkdtempSync, openSync, readSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { ChunkWorkers } from "#src/codec/chunk-workers.js";
import { DecodedSource } from "#src/store/decoded-source.js";
import { testChunkSource } from "../conformance/chunk-source.ts";
import { DEMAND, gather, makeBlob, memoryBlobs } from "../support/chunked-blob.ts";

testChunkSource("DecodedSource", (blobs) => new DecodedSource(blobs));
testChunkSource("DecodedSource with small requests", (blobs) => new DecodedSource(blobs, { requestSize: 1 }));

const workers = new ChunkWorkers(2);
after(() => workers[Symbol.asyncDispose]());
testChunkSource("DecodedSource with threads", (blobs) => {
  return new DecodedSource(blobs, { threads: workers });
});

const file = openSync(join(mkdtempSync(join(tmpdir(), "nydus-decoded-")), "data"), "w+");
testChunkSource("DecodedSource into a file", (blobs) => {
  const source = new DecodedSource(blobs, { threads: workers });
  return {
    name: source.name,
    fetch: (chunked, run, options, sink) =>
      source.fetch(chunked, run, { ...options, file: { fd: file, path: "data" } }, async (index, decoded) => {
        assert.equal(decoded, undefined);
        const bytes = new Uint8Array(chunked.table.decodedSizes[index] as number);
        readSync(file, bytes, 0, bytes.length, chunked.table.decodedOffsets[index] as number);
        await sink(index, bytes);
      }),
  };
});

const made = makeBlob(30);
const { blob, stored } = made;

describe("DecodedSource", () => {
  it("asks for neighbouring chunks in one request, up to its size, and never splits a chunk", async () => {
    const requestSize = 10_000;
    const blobs = memoryBlobs(made);
    await new DecodedSource(blobs, { requestSize }).fetch(blob, { first: 0, count: 30 }, DEMAND, () => {});
    let end = 0;
    for (const { offset, length } of blobs.requests) {
      assert.equal(offset, end);
      assert.ok(length <= requestSize);
      end = offset + length;
    }
    assert.equal(end, stored.length);
    assert.ok(blobs.requests.length <= Math.ceil(stored.length / (requestSize - 4096)));

    const single = memoryBlobs(made);
    await new DecodedSource(single, { requestSize: 1 }).fetch(blob, { first: 1, count: 1 }, DEMAND, () => {});
    assert.deepEqual(single.requests, [{ offset: blob.table.storedOffsets[1], length: 4096 }]);
  });

  it("names blob, chunk and source of a corrupt chunk", async () => {
    const bad = memoryBlobs(made, (bytes) => bytes.fill(7, bytes.length - 1));
    const fetching = new DecodedSource(bad).fetch(blob, { first: 0, count: 2 }, DEMAND, () => {});
    await assert.rejects(fetching, (error: Error) => {
      assert.match(error.message, new RegExp(`^chunk 1 of blob ${blob.id} from memory `));
      return true;
    });
  });

  it("counts requests, bytes and chunks, and those that no digest proves", async () => {
    const source = new DecodedSource(memoryBlobs(made));
    const { found, sink } = gather();
    await source.fetch({ ...blob, digests: undefined }, { first: 0, count: 3 }, DEMAND, sink);
    await source.fetch(blob, { first: 3, count: 1 }, DEMAND, sink);
    const decodedBytes = [...found.values()].reduce((sum, { length }) => sum + length, 0);
    const storedBytes = (blob.table.storedOffsets[4] as number) - (blob.table.storedOffsets[0] as number);
    assert.deepEqual(source.counts, {
      requests: 2,
      storedBytes,
      chunks: 4,
      decodedBytes,
      unverifiedChunks: 3,
    });
  });

  it("finds an accident by the CRC-32C of a chunk without a digest", async () => {
    const table = tableWithWrongCrc();
    const source = new DecodedSource(memoryBlobs(made));
    const fetching = source.fetch(
      { ...blob, table, digests: undefined },
      { first: 0, count: 1 },
      DEMAND,
      () => {},
    );
    await assert.rejects(fetching, { code: "ERR_CHUNK_CORRUPT" });
  });
});

/** The table with a CRC-32C that chunk 0 does not have. */
function tableWithWrongCrc(): typeof blob.table {
  const { table } = makeBlob(30).blob;
  table.flags[0] = (table.flags[0] as number) | 0x10;
  table.crc32cs[0] = 1;
  return table;
}
