import assert from "node:assert/strict";
import { availableParallelism } from "node:os";
import { describe, it } from "node:test";
import { type ConvertOptions, checkConvertOptions } from "#src/convert/convert-options.js";

describe("checkConvertOptions()", () => {
  it("has the defaults of nydusify, without prefetch", () => {
    assert.deepEqual(checkConvertOptions({}), {
      compressor: "zstd",
      compressionLevel: 3,
      digester: "blake3",
      chunkSize: 2 ** 20,
      prefetch: [],
      jobs: Math.min(availableParallelism(), 8),
      verify: true,
    });
  });

  const wrong: readonly ConvertOptions[] = [
    { compressor: "gzip" },
    { compressor: "lz4_block", compressionLevel: 3 },
    { compressionLevel: 0 },
    { compressionLevel: 23 },
    { digester: "md5" },
    { chunkSize: 2048 },
    { chunkSize: 2 ** 25 },
    { chunkSize: 12288 },
    { jobs: 0 },
    { jobs: 1.5 },
    { prefetch: ["etc"] },
    { prefetch: ["/a\0b"] },
  ];
  for (const options of wrong) {
    it(`refuses ${JSON.stringify(options)}`, () => {
      assert.throws(() => checkConvertOptions(options), { code: "ERR_OPTION_INVALID" });
    });
  }
});
