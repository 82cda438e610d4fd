import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { describe, it } from "node:test";
import fc from "fast-check";
import { compressChunk } from "#src/codec/compress.js";
import { decompressChunk } from "#src/codec/decompress.js";
import { ROOT, readFixture } from "../support/fixtures.ts";

const COMPRESSORS = ["none", "lz4_block", "zstd"] as const;
const text = readFixture("golden", "made", "tree.jsonl").slice(0, 300_000);

describe("compressChunk()", () => {
  for (const compressor of COMPRESSORS) {
    it(`gives bytes that decompressChunk() turns back, with ${compressor}`, () => {
      const anyBytes = fc.oneof(
        fc.uint8Array({ maxLength: 5000 }),
        fc
          .tuple(fc.uint8Array({ minLength: 1, maxLength: 9 }), fc.integer({ min: 1, max: 2000 }))
          .map(
            ([pattern, times]) => new Uint8Array(Buffer.concat(Array.from({ length: times }, () => pattern))),
          ),
      );
      fc.assert(
        fc.property(anyBytes, (bytes) => {
          const stored = compressChunk(compressor, bytes);
          const decoded = stored.isCompressed
            ? decompressChunk(compressor, stored.bytes, bytes.length)
            : stored.bytes;
          assert.deepEqual(Buffer.from(decoded), Buffer.from(bytes));
          assert.ok(stored.isCompressed ? stored.bytes.length < bytes.length : stored.bytes === bytes);
        }),
        { numRuns: 60 },
      );
    });
  }

  it("stores bytes as they are when they do not become strictly smaller", () => {
    const noise = new Uint8Array(randomBytes(4096));
    for (const compressor of COMPRESSORS) {
      assert.deepEqual(compressChunk(compressor, noise), { bytes: noise, isCompressed: false });
    }
  });

  it("writes a zstd frame that names its content size", () => {
    const { bytes } = compressChunk("zstd", text);
    assert.deepEqual([...bytes.subarray(0, 4)], [0x28, 0xb5, 0x2f, 0xfd]);
    const descriptor = bytes[4] as number;
    assert.ok(descriptor >> 6 !== 0 || (descriptor & 0x20) !== 0);
  });

  it("writes an lz4 block without a length prefix", () => {
    const { bytes } = compressChunk("lz4_block", text);
    // 300,000 as u32 would be e0 93 04 00; a block starts with a token and the first literals.
    assert.equal(bytes[0], 0xf0 | ((bytes[0] as number) & 0x0f));
    assert.notDeepEqual([...bytes.subarray(0, 4)], [0xe0, 0x93, 0x04, 0x00]);
  });

  it("leaves an earlier result alone when it is called again", () => {
    const first = compressChunk("zstd", text).bytes;
    const before = first.slice();
    compressChunk("zstd", text.subarray(1000));
    assert.deepEqual(first, before);
  });

  it("gives the same bytes in another process, whatever was compressed before", () => {
    const sums = COMPRESSORS.map((compressor) => {
      compressChunk(compressor, new Uint8Array(randomBytes(100_000)));
      return createHash("sha256").update(compressChunk(compressor, text).bytes).digest("hex");
    });
    const script = `
      import { createHash } from "node:crypto";
      import { readFileSync } from "node:fs";
      import { compressChunk } from "#src/codec/compress.js";
      const text = readFileSync("fixtures/golden/made/tree.jsonl").subarray(0, 300000);
      const sums = ${JSON.stringify(COMPRESSORS)}.map((compressor) =>
        createHash("sha256").update(compressChunk(compressor, text).bytes).digest("hex"));
      process.stdout.write(JSON.stringify(sums));`;
    const printed = execFileSync(process.execPath, ["--input-type=module", "--eval", script], { cwd: ROOT });
    assert.deepEqual(JSON.parse(printed.toString()), sums);
  });

  it("returns ERR_FEATURE_UNSUPPORTED for gzip", () => {
    assert.throws(() => compressChunk("gzip", text), { code: "ERR_FEATURE_UNSUPPORTED" });
  });
});
