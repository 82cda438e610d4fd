import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { cutChunks } from "#src/convert/chunker.js";

async function* inPieces(bytes: Uint8Array, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  let offset = 0;
  for (const size of [...sizes, bytes.length]) {
    yield bytes.subarray(offset, offset + size);
    offset += size;
  }
}

async function copiesOf(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array[]> {
  const copies: Uint8Array[] = [];
  for await (const chunk of chunks) copies.push(chunk.slice());
  return copies;
}

describe("cutChunks()", () => {
  it("cuts at multiples of the chunk size, however the bytes come in", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 300 }),
        fc.array(fc.nat({ max: 90 }), { maxLength: 12 }),
        fc.constantFrom(1, 7, 32, 64, 512),
        async (bytes, sizes, chunkSize) => {
          const expected: Uint8Array[] = [];
          for (let start = 0; start < bytes.length; start += chunkSize) {
            expected.push(bytes.slice(start, start + chunkSize));
          }
          assert.deepEqual(await copiesOf(cutChunks(inPieces(bytes, sizes), chunkSize)), expected);
        },
      ),
      { numRuns: 200 },
    );
  });

  it("makes no chunk of an empty file", async () => {
    assert.deepEqual(await copiesOf(cutChunks(inPieces(new Uint8Array(0), [0, 0]), 4096)), []);
  });
});
