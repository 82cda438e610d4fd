import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { StoredPieces } from "#src/convert/stored-pieces.js";

describe("StoredPieces", () => {
  it("lends each piece until the second one after it is asked for, and all of them to the end", async () => {
    const released: number[] = [];
    const pieces = new StoredPieces((buffer) => released.push(buffer[0] ?? 0));
    const reader = pieces[Symbol.asyncIterator]();
    const first = reader.next();
    for (const number of [1, 2, 3, 4]) pieces.push(Uint8Array.of(number, 9, 9), 1);
    assert.deepEqual((await first).value, Uint8Array.of(1));
    assert.deepEqual((await reader.next()).value, Uint8Array.of(2));
    assert.deepEqual(released, []);
    assert.deepEqual((await reader.next()).value, Uint8Array.of(3));
    assert.deepEqual(released, [1]);
    assert.deepEqual((await reader.next()).value, Uint8Array.of(4));
    assert.deepEqual(released, [1, 2]);
    const last = reader.next();
    pieces.end();
    assert.equal((await last).done, true);
    assert.deepEqual(released, [1, 2, 3, 4]);
  });
});
