import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { BufferPool } from "#src/codec/buffer-pool.js";
import { digestChunk } from "#src/codec/digest.js";
import { type ChunkBatch, ChunkCutter } from "#src/convert/chunk-cutter.js";

const { signal } = new AbortController();
const OPTIONS = { chunkSize: 4096, digester: "blake3" } as const;
const BATCH_SIZE = 16_384;

/** A cutter whose batches are stored at once; what was stored, chunk by chunk. */
function storingCutter(options: { chunkSize: number; digester: "blake3" | "sha256" } = OPTIONS) {
  const stored: Uint8Array[] = [];
  const buffers = new BufferPool(2, BATCH_SIZE);
  const store = ({ buffer, sizes }: ChunkBatch): void => {
    let offset = 0;
    for (const size of sizes) {
      stored.push(buffer.slice(offset, offset + size));
      offset += size;
    }
    buffers.give(buffer.fill(0xee));
  };
  return { stored, cutter: new ChunkCutter(buffers, options, store, signal) };
}

/** `bytes` in pieces of the given sizes, then the rest; each piece is overwritten when the next is asked for. */
async function* inPieces(bytes: Uint8Array, sizes: readonly number[] = []): AsyncGenerator<Uint8Array> {
  let offset = 0;
  for (const size of [...sizes, bytes.length]) {
    const piece = bytes.slice(offset, offset + size);
    yield piece;
    piece.fill(0xdd);
    offset += size;
  }
}

function bytesOf(size: number, seed: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, index) => (index * 31 + (index >> 8) * 7 + seed) & 0xff);
}

describe("ChunkCutter", () => {
  for (const digester of ["blake3", "sha256"] as const) {
    it(`cuts at multiples of the chunk size and sends each chunk once, however bytes come (${digester})`, async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(
            fc.tuple(
              fc.nat({ max: 30_000 }),
              fc.array(fc.nat({ max: 9000 }), { maxLength: 5 }),
              fc.nat({ max: 3 }),
            ),
            { maxLength: 12 },
          ),
          async (files) => {
            const { stored, cutter } = storingCutter({ ...OPTIONS, digester });
            const contents = files.map(([size, , seed]) => bytesOf(size, seed));
            const numbers: number[][] = [];
            for (const [index, content] of contents.entries()) {
              numbers.push(await cutter.cut(inPieces(content, files[index]?.[1]), content.length));
            }
            const { digests, duplicates } = cutter.finish();
            const seen: Buffer[] = [];
            for (const [index, content] of contents.entries()) {
              const chunks = numbers[index] ?? [];
              assert.equal(chunks.length, Math.ceil(content.length / OPTIONS.chunkSize));
              for (const [position, number] of chunks.entries()) {
                const expected = content.subarray(position * 4096, position * 4096 + 4096);
                assert.deepEqual(stored[number], expected);
                const digest = digests.subarray(number * 32, number * 32 + 32);
                assert.deepEqual(Buffer.from(digest), Buffer.from(digestChunk(digester, expected)));
                assert.ok(number <= seen.length, "chunks are numbered as they come");
                if (number === seen.length) seen.push(Buffer.from(expected));
              }
            }
            assert.equal(stored.length, seen.length);
            assert.equal(new Set(seen.map((chunk) => chunk.toString("latin1"))).size, seen.length);
            assert.equal(duplicates.count, numbers.flat().length - seen.length);
          },
        ),
        { numRuns: 40 },
      );
    });
  }

  it("tells chunks of equal bytes and other sizes apart, and counts what came again", async () => {
    const { stored, cutter } = storingCutter();
    const numbers: number[][] = [];
    for (const size of [10, 10, 11, 5000, 5000]) {
      numbers.push(await cutter.cut(inPieces(new Uint8Array(size), [7]), size));
    }
    assert.deepEqual(numbers, [[0], [0], [1], [2, 3], [2, 3]]);
    assert.deepEqual(cutter.finish().duplicates, { count: 3, size: 5010 });
    assert.equal(stored.length, 4);
  });

  it("reads no further than there are buffers", async () => {
    const buffers = new BufferPool(2, BATCH_SIZE);
    const batches: ChunkBatch[] = [];
    const cutter = new ChunkCutter(buffers, OPTIONS, (batch) => batches.push(batch), signal);
    let read = 0;
    async function* content(): AsyncGenerator<Uint8Array> {
      for (; read < 100; read++) yield bytesOf(4096, read);
    }
    const cutting = cutter.cut(content(), 100 * 4096);
    for (let turn = 0; turn < 50; turn++) await new Promise(setImmediate);
    assert.equal(read, (2 * BATCH_SIZE) / 4096);
    assert.equal(batches.length, 2);
    const store = setInterval(() => {
      for (const { buffer } of batches.splice(0)) buffers.give(buffer);
    }, 1);
    await cutting;
    clearInterval(store);
    assert.equal(read, 100);
  });

  it("stops waiting for a buffer when it is aborted", async () => {
    const stop = new AbortController();
    const cutter = new ChunkCutter(new BufferPool(1, BATCH_SIZE), OPTIONS, () => {}, stop.signal);
    const content = bytesOf(20 * 4096, 1);
    const cutting = cutter.cut(inPieces(content), content.length);
    setImmediate(() => stop.abort());
    await assert.rejects(cutting, { code: "ERR_ABORTED" });
  });

  for (const [what, size] of [
    ["more", 4096],
    ["fewer", 8193],
  ] as const) {
    it(`refuses a file with ${what} bytes than it is said to have`, async () => {
      const { cutter } = storingCutter();
      await assert.rejects(cutter.cut(inPieces(bytesOf(8192, 1)), size), { code: "ERR_LAYER_INVALID" });
    });
  }
});
