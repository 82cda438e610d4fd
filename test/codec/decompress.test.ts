import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { compressChunk } from "#src/codec/compress.js";
import { decompressChunk, MAX_DECODED_SIZE } from "#src/codec/decompress.js";

const text = new Uint8Array(Buffer.from("the same words again, ".repeat(3000)));
const stored = {
  lz4_block: compressChunk("lz4_block", text).bytes,
  zstd: compressChunk("zstd", text).bytes,
  gzip: new Uint8Array(gzipSync(text)),
} as const;
const COMPRESSORS = ["lz4_block", "zstd", "gzip"] as const;

/** A frame whose header claims `size` bytes and whose only block repeats a byte 128 KiB long. */
function zstdBomb(size: bigint): Uint8Array {
  const frame = Buffer.alloc(4 + 1 + 1 + 8 + 3 + 1);
  frame.writeUInt32LE(0xfd2fb528, 0);
  frame[4] = 0xc0;
  frame[5] = 0x38;
  frame.writeBigUInt64LE(size, 6);
  frame.writeUIntLE((131072 << 3) | (1 << 1) | 1, 14, 3);
  return new Uint8Array(frame);
}

function memoryGrowth(run: () => void): number {
  const before = process.memoryUsage.rss();
  run();
  return process.memoryUsage.rss() - before;
}

describe("decompressChunk()", () => {
  for (const compressor of COMPRESSORS) {
    it(`decodes ${compressor} to exactly the expected size`, () => {
      assert.deepEqual(
        Buffer.from(decompressChunk(compressor, stored[compressor], text.length)),
        Buffer.from(text),
      );
    });

    it(`returns ERR_CODEC_FAILED when ${compressor} holds more or fewer bytes`, () => {
      for (const size of [0, 1, text.length - 1, text.length + 1, text.length * 2]) {
        assert.throws(() => decompressChunk(compressor, stored[compressor], size), {
          code: "ERR_CODEC_FAILED",
        });
      }
    });

    it(`returns ERR_CODEC_FAILED when ${compressor} is truncated anywhere`, () => {
      const whole = stored[compressor];
      for (let length = 0; length < whole.length; length += 1 + (whole.length >> 6)) {
        assert.throws(() => decompressChunk(compressor, whole.subarray(0, length), text.length), {
          code: "ERR_CODEC_FAILED",
        });
      }
    });

    it(`returns ERR_CODEC_FAILED for noise instead of ${compressor}`, () => {
      for (let round = 0; round < 50; round++) {
        const noise = new Uint8Array(randomBytes(200));
        assert.throws(() => decompressChunk(compressor, noise, 1 << 20), { code: "ERR_CODEC_FAILED" });
      }
    });
  }

  it("returns ERR_CODEC_FAILED for a zstd frame that claims 1 TiB, without taking memory for it", () => {
    const growth = memoryGrowth(() => {
      assert.throws(() => decompressChunk("zstd", zstdBomb(2n ** 40n), 4096), { code: "ERR_CODEC_FAILED" });
    });
    assert.ok(growth < 64 * 2 ** 20, `grew by ${growth}`);
  });

  it("stops at the expected size when a gzip bomb inflates to 256 MiB", () => {
    const bomb = new Uint8Array(gzipSync(Buffer.alloc(256 * 2 ** 20), { level: 1 }));
    const growth = memoryGrowth(() => {
      assert.throws(() => decompressChunk("gzip", bomb, 4096), { code: "ERR_CODEC_FAILED" });
    });
    assert.ok(growth < 64 * 2 ** 20, `grew by ${growth}`);
  });

  it("returns ERR_CODEC_FAILED when raw bytes do not have the expected size", () => {
    assert.equal(decompressChunk("none", text, text.length), text);
    assert.throws(() => decompressChunk("none", text, text.length + 1), { code: "ERR_CODEC_FAILED" });
  });

  it("returns ERR_LIMIT_EXCEEDED for sizes over the limit", () => {
    for (const size of [MAX_DECODED_SIZE + 1, -1, Number.NaN, 2 ** 40]) {
      assert.throws(() => decompressChunk("zstd", stored.zstd, size), { code: "ERR_LIMIT_EXCEEDED" });
    }
  });
});
