import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { compressLz4, decompressLz4 } from "#src/codec/lz4.js";
import { addon } from "#src/native/addon.js";
import { compressibleBytes, damage, spoil } from "../support/compressible-bytes.ts";

const lz4 = addon()?.lz4();
const skip = lz4 === undefined ? "needs the native addon and liblz4.so.1" : false;

describe("Lz4", { skip }, () => {
  // `describe` is skipped without the library, so its tests may take it for granted.
  const library = lz4 as NonNullable<typeof lz4>;

  it("decodes what lz4-napi encoded, into any room that is large enough, and never past it", () => {
    fc.assert(
      fc.property(compressibleBytes, fc.nat(100), (bytes, spare) => {
        const block = compressLz4(bytes);
        const memory = new Uint8Array(bytes.length + spare + 64).fill(0xa5);
        const target = memory.subarray(0, bytes.length + spare);
        assert.equal(library.decompressInto(target, block), bytes.length);
        assert.ok(bytes.equals(target.subarray(0, bytes.length)));
        assert.ok(memory.subarray(target.length).every((byte) => byte === 0xa5));
        if (bytes.length > 0) {
          assert.throws(() => library.decompressInto(target.subarray(0, bytes.length - 1), block));
        }
      }),
      { numRuns: 300 },
    );
  });

  it("never writes past its target, and agrees with lz4-napi where both decode a damaged block", () => {
    const decoded = { both: 0, none: 0 };
    const attempt = <Result>(run: () => Result): Result | undefined => {
      try {
        return run();
      } catch {
        return undefined;
      }
    };
    fc.assert(
      fc.property(compressibleBytes, damage, (bytes, harm) => {
        const block = spoil(compressLz4(bytes), harm);
        const memory = new Uint8Array(bytes.length + 64).fill(0xa5, bytes.length);
        const target = memory.subarray(0, bytes.length);
        const length = attempt(() => library.decompressInto(target, block));
        assert.ok(memory.subarray(bytes.length).every((byte) => byte === 0xa5));
        const expected = attempt(() => decompressLz4(block, bytes.length));
        if (length === undefined) decoded.none++;
        // liblz4 takes a distance of 0, which lz4-napi refuses.
        if (length === undefined || expected === undefined) return;
        decoded.both++;
        assert.deepEqual(Buffer.from(target.subarray(0, length)), Buffer.from(expected));
      }),
      { numRuns: 500 },
    );
    assert.ok(decoded.both > 20 && decoded.none > 20, JSON.stringify(decoded));
  });

  it("refuses arguments of the wrong kind", () => {
    assert.throws(
      () => library.decompressInto(new Uint32Array(4) as unknown as Uint8Array, new Uint8Array(4)),
      TypeError,
    );
  });
});
