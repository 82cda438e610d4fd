import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ChunkTable } from "#src/format/blob/chunk-table.js";
import { READ_AHEAD_SIZE, ReadAhead } from "#src/store/read-ahead.js";

const CHUNK = READ_AHEAD_SIZE / 4;

function makeTable(count: number): ChunkTable {
  const table = new ChunkTable(count);
  for (let index = 0; index < count; index++) {
    table.storedOffsets[index] = index * CHUNK;
    table.storedSizes[index] = CHUNK;
  }
  return table;
}

const all = (): boolean => true;

describe("ReadAhead", () => {
  it("brings one request's worth for a first read, and no chunk that is not wanted, nor what is behind it", () => {
    const ahead = new ReadAhead(makeTable(100));
    assert.deepEqual(ahead.extend({ first: 8, count: 1 }, all), { first: 8, count: 4 });
    const second = ahead.extend({ first: 0, count: 1 }, (index) => index !== 2);
    assert.deepEqual(second, { first: 0, count: 2 });
    assert.deepEqual(ahead.extend({ first: 98, count: 1 }, all), { first: 98, count: 2 });
  });

  it("never cuts what was asked for", () => {
    assert.equal(new ReadAhead(makeTable(100)).extend({ first: 0, count: 50 }, all).count, 50);
  });

  it("brings more each time to those who go on where they were, up to a limit, also to two at once", () => {
    const ahead = new ReadAhead(makeTable(1000));
    const places = [0, 500];
    const counts: number[] = [];
    for (let round = 0; round < 6; round++) {
      for (const [reader, first] of places.entries()) {
        const { count } = ahead.extend({ first, count: 1 }, all);
        if (reader === 0) counts.push(count);
        places[reader] = first + count;
      }
    }
    assert.deepEqual(counts, [4, 8, 16, 32, 32, 32]);
  });

  it("brings no more to those who read here and there", () => {
    const ahead = new ReadAhead(makeTable(5000));
    for (const first of [4000, 3000, 2000, 1000, 3500, 2500]) {
      assert.equal(ahead.extend({ first, count: 1 }, all).count, 4);
    }
  });
});
