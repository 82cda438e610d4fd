import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { decodeRuns, decodeTask } from "#src/store/decode-task.js";
import { makeBlob } from "../support/chunked-blob.ts";

describe("decodeRuns()", () => {
  it("cuts a request that decodes to far more than it stores", () => {
    const { blob } = makeBlob(10);
    blob.table.decodedSizes.fill(2 ** 18);
    blob.table.decodedSizes[5] = 16 * 2 ** 20;
    assert.deepEqual(
      [...decodeRuns(blob, { first: 1, count: 8 })],
      [
        { first: 1, count: 4 },
        { first: 5, count: 1 },
        { first: 6, count: 3 },
      ],
    );
    assert.deepEqual([...decodeRuns(blob, { first: 1, count: 0 })], []);
  });
});

describe("decodeTask()", () => {
  it("copies what the run stores, so that it can move to a thread", () => {
    const { blob, stored } = makeBlob(6);
    const { storedOffsets } = blob.table;
    const [offset, from, to] = [1, 2, 4].map((index) => storedOffsets[index] as number) as [
      number,
      number,
      number,
    ];
    const request = { first: 1, count: 4, offset, length: stored.length - offset };
    const task = decodeTask(blob, { first: 2, count: 2 }, request, stored.subarray(offset));
    assert.deepEqual(task.buffer, stored.slice(from, to));
    assert.equal(task.buffer.buffer.byteLength, to - from);
    assert.deepEqual([...task.offsets], [0, (storedOffsets[3] as number) - from]);
    assert.deepEqual([...task.isCompressed], [1, 0]);
  });
});
