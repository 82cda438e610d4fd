import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  compressionFlag,
  compressorNumber,
  compressorOfFlags,
  compressorOfNumber,
  digesterNumber,
  digesterOfFlags,
  digesterOfNumber,
  digestFlag,
} from "#src/format/rafs/features.js";

describe("compressors and digesters", () => {
  it("have the numbers and flags of nydus", () => {
    for (const [compressor, number, flag] of [
      ["none", 0, 0x1],
      ["lz4_block", 1, 0x2],
      ["gzip", 2, 0x40],
      ["zstd", 3, 0x80],
    ] as const) {
      assert.deepEqual([compressorNumber(compressor), compressionFlag(compressor)], [number, flag]);
      assert.deepEqual(
        [compressorOfNumber(number), compressorOfFlags(flag | 0x34)],
        [compressor, compressor],
      );
    }
    for (const [digester, number, flag] of [
      ["blake3", 0, 0x4],
      ["sha256", 1, 0x8],
    ] as const) {
      assert.deepEqual([digesterNumber(digester), digestFlag(digester)], [number, flag]);
      assert.deepEqual([digesterOfNumber(number), digesterOfFlags(flag | 0xb0)], [digester, digester]);
    }
  });

  it("are unknown for other numbers, and for flags that name none or two", () => {
    assert.deepEqual([compressorOfNumber(4), digesterOfNumber(2)], [undefined, undefined]);
    assert.deepEqual([compressorOfFlags(0), compressorOfFlags(0x81)], [undefined, undefined]);
    assert.deepEqual([digesterOfFlags(0), digesterOfFlags(0xc)], [undefined, undefined]);
  });
});
