import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, it } from "node:test";
import { Worker } from "node:worker_threads";
import { gunzipSync, gzipSync } from "node:zlib";
import fc from "fast-check";
import { crc32cByTables } from "#src/codec/crc32c.js";
import { addon } from "#src/native/addon.js";
import type { Inflater } from "#src/native/isal.js";
import { compressibleBytes, damage, spoil } from "../support/compressible-bytes.ts";

const isal = addon()?.isal();
const skip = isal === undefined ? "needs the native addon and libisal.so.2" : false;
/** Of what gzipSync() makes. */
const HEADER_LENGTH = 10;

/** What comes out of one member without its header; nothing when the source ends inside it. */
function inflate(
  inflater: Inflater,
  member: Uint8Array,
  sourceSize: number,
  target: Uint8Array,
): { readonly bytes: Buffer; readonly consumed: number } | undefined {
  const parts: Uint8Array[] = [];
  let total = 0;
  for (let offset = 0; offset < member.length; offset += sourceSize) {
    let source = member.subarray(offset, offset + sourceSize);
    for (let isDrained = false; source.length > 0 || !isDrained; ) {
      const { produced, consumed, isMemberDone } = inflater.step(target, source);
      assert.ok(produced <= target.length && consumed <= source.length);
      assert.ok(produced + consumed > 0 || source.length === 0, "makes progress");
      parts.push(target.slice(0, produced));
      source = source.subarray(consumed);
      total += consumed;
      isDrained = produced < target.length;
      if (isMemberDone) return { bytes: Buffer.concat(parts), consumed: total };
    }
  }
  return undefined;
}

describe("Isal", { skip }, () => {
  // `describe` is skipped without the library, so its tests may take it for granted.
  const library = isal as NonNullable<typeof isal>;

  it("names the version of its library", () => {
    assert.match(library.file, /^libisal\.so\.2/);
  });

  it("inflates what zlib deflated, and refuses what zlib refuses, in steps of any size", () => {
    fc.assert(
      fc.property(
        compressibleBytes,
        fc.record({ level: fc.nat(9), strategy: fc.nat(4), windowBits: fc.integer({ min: 9, max: 15 }) }),
        damage,
        fc.integer({ min: 1, max: 3000 }),
        fc.integer({ min: 1, max: 70_000 }),
        (bytes, options, harm, sourceSize, targetSize) => {
          const whole = gzipSync(bytes, options);
          const member = spoil(whole.subarray(HEADER_LENGTH), harm);
          let expected: Buffer | undefined;
          try {
            expected = gunzipSync(Buffer.concat([whole.subarray(0, HEADER_LENGTH), member]));
          } catch {
            expected = undefined;
          }
          let found: ReturnType<typeof inflate>;
          try {
            found = inflate(library.openInflater(), member, sourceSize, new Uint8Array(targetSize));
          } catch (error) {
            if (error instanceof assert.AssertionError) throw error;
          }
          assert.deepEqual(found?.bytes, expected);
        },
      ),
      { numRuns: 1500 },
    );
  });

  it("stops right behind a member and begins the next, also after a failure", () => {
    const inflater = library.openInflater();
    const target = new Uint8Array(1000);
    const member = gzipSync(Buffer.from("member ".repeat(1000))).subarray(HEADER_LENGTH);
    const followed = Buffer.concat([member, Buffer.alloc(100, 0x1f)]);
    for (let round = 0; round < 5; round++) {
      const found = inflate(inflater, followed, 64, target);
      assert.equal(found?.consumed, member.length);
      assert.throws(() => inflate(inflater, Buffer.alloc(1000, 0xff), 64, target), { message: /deflate/ });
    }
  });

  it("works on memory that threads share", () => {
    const bytes = Buffer.from("shared ".repeat(50_000));
    const member = gzipSync(bytes).subarray(HEADER_LENGTH);
    const source = new Uint8Array(new SharedArrayBuffer(member.length));
    source.set(member);
    const target = new Uint8Array(new SharedArrayBuffer(70_000), 1000, 65_536);
    assert.ok(inflate(library.openInflater(), source, 4096, target)?.bytes.equals(bytes));
  });

  it("works in threads at the same time, one of which is ended in between", async () => {
    const script = `
      import { parentPort } from "node:worker_threads";
      import { gzipSync } from "node:zlib";
      import { addon } from "${new URL("../../../dist/native/addon.js", import.meta.url)}";
      const member = gzipSync(Buffer.from("thread ".repeat(100_000))).subarray(${HEADER_LENGTH});
      const target = new Uint8Array(1 << 20);
      let length = 0;
      for (let round = 0; round < 50; round++) {
        length = addon().isal().openInflater().step(target, member).produced;
      }
      parentPort.postMessage(length);`;
    const url = new URL(`data:text/javascript,${encodeURIComponent(script)}`);
    const [ended, ...others] = [0, 1, 2].map(() => new Worker(url));
    const lengths = Promise.all(others.map(async (worker) => (await once(worker, "message"))[0] as number));
    await ended?.terminate();
    assert.deepEqual(await lengths, [700_000, 700_000]);
    await Promise.all(others.map((worker) => worker.terminate()));
  });

  it("refuses arguments of the wrong kind", () => {
    const inflater = library.openInflater();
    const words = new Uint16Array(8) as unknown as Uint8Array;
    assert.throws(() => inflater.step(words, new Uint8Array(1)), TypeError);
    assert.throws(() => inflater.step(new Uint8Array(1), "x" as unknown as Uint8Array), TypeError);
    assert.throws(() => library.crc32c(words), TypeError);
  });

  it("sums CRC-32C as the tables do", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 3000 }), fc.nat(20), (bytes, start) => {
        const unaligned = bytes.subarray(start);
        assert.equal(library.crc32c(unaligned), crc32cByTables(unaligned));
      }),
    );
  });
});
