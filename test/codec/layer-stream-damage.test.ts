import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { constants, deflateRawSync, gzipSync } from "node:zlib";
import fc from "fast-check";
import { isCoded } from "#src/base/errors.js";
import { compressChunk } from "#src/codec/compress.js";
import { decompressLayer, type LayerStreamOptions } from "#src/codec/layer-stream.js";
import { addon } from "#src/native/addon.js";
import { compressibleBytes, damage, spoil } from "../support/compressible-bytes.ts";
import { inPieces, readAll } from "../support/layers.ts";

const ZLIB: LayerStreamOptions = { openInflater: () => undefined };
const hasIsal = addon()?.isal() !== undefined;

/** What a layer decodes to, or the code that it is refused with; any other error is a bug. */
async function outcome(
  stored: Uint8Array,
  pieceSize: number,
  options?: LayerStreamOptions,
): Promise<Buffer | string> {
  try {
    return await readAll(decompressLayer(inPieces(stored, pieceSize), options));
  } catch (error) {
    if (isCoded(error)) return error.code;
    throw error;
  }
}

describe("decompressLayer() of damaged bytes", () => {
  const skip = hasIsal ? false : "needs the native addon and libisal.so.2";
  it("says the same with ISA-L and zlib, of any number of gzip members", { skip }, async () => {
    const members = fc.array(fc.tuple(compressibleBytes, fc.nat(9)), { minLength: 1, maxLength: 4 });
    const refused = { count: 0 };
    await fc.assert(
      fc.asyncProperty(members, damage, fc.integer({ min: 20, max: 70_000 }), async (parts, harm, size) => {
        const stored = spoil(Buffer.concat(parts.map(([bytes, level]) => gzipSync(bytes, { level }))), harm);
        const expected = await outcome(stored, size, ZLIB);
        if (typeof expected === "string") refused.count++;
        assert.deepEqual(await outcome(stored, size), expected);
      }),
      { numRuns: 250 },
    );
    assert.ok(refused.count > 50, `${refused.count}`);
  });

  it("decodes zstd frames, or refuses them with ERR_LAYER_INVALID", async () => {
    await fc.assert(
      fc.asyncProperty(
        compressibleBytes,
        damage,
        fc.integer({ min: 20, max: 70_000 }),
        async (bytes, harm, size) => {
          const frame = compressChunk("zstd", bytes);
          if (!frame.isCompressed) return;
          const found = await outcome(spoil(frame.bytes, harm), size);
          // Without its magic number it is a plain layer; flipped literals are the diff id's to find.
          if (typeof found === "string") assert.equal(found, "ERR_LAYER_INVALID");
          else if (harm.keep === 1 && harm.flips.length === 0) assert.deepEqual(found, bytes);
        },
      ),
      { numRuns: 400 },
    );
  });
});

/** A frame that makes 128 KiB out of each block of 4 bytes. */
function zstdBomb(blocks: number): Buffer {
  // Neither size nor checksum, a window of 128 KiB.
  const parts = [Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38])];
  for (let index = 1; index <= blocks; index++) {
    const block = Buffer.alloc(4);
    block.writeUIntLE((131_072 << 3) | (1 << 1) | (index === blocks ? 1 : 0), 0, 3);
    parts.push(block);
  }
  return Buffer.concat(parts);
}

describe("decompressLayer() of a bomb", () => {
  const limit = { maxUnrelatedSize: 8 * 2 ** 20 };

  it("returns ERR_LIMIT_EXCEEDED when a zstd layer decodes to absurdly many bytes", async () => {
    assert.equal((await outcome(zstdBomb(64), 100, limit)).length, 64 * 131_072);
    assert.equal(await outcome(zstdBomb(65), 100, limit), "ERR_LIMIT_EXCEEDED");
  });

  it("decodes the densest gzip there is", async () => {
    const zeros = Buffer.alloc(32 * 2 ** 20);
    const dense = gzipSync(zeros, { level: 9 });
    assert.ok(zeros.length / dense.length > 1000);
    for (const options of [limit, { ...limit, ...ZLIB }]) {
      assert.equal((await outcome(dense, 1000, options)).length, zeros.length);
    }
  });

  it("holds no more than a piece at a time", async () => {
    const deflated = deflateRawSync(Buffer.alloc(256 * 2 ** 20), { level: constants.Z_BEST_SPEED });
    const bomb = Buffer.concat([gzipSync("").subarray(0, 10), deflated]);
    const before = process.memoryUsage.rss();
    let size = 0;
    await assert.rejects(
      async () => {
        for await (const piece of decompressLayer(inPieces(bomb))) size += piece.length;
      },
      { code: "ERR_LAYER_INVALID" },
    );
    assert.equal(size, 256 * 2 ** 20);
    assert.ok(process.memoryUsage.rss() - before < 128 * 2 ** 20);
  });
});

const TOOLS = [
  ["gzip", "-1"],
  ["gzip", "-9"],
  ["igzip", "-0", "-c"],
  ["igzip", "-3", "-c"],
  ["zstd", "-1", "-c"],
  ["zstd", "-12", "-T2", "--long", "-c"],
] as const;

describe("decompressLayer() of what a tool wrote", () => {
  const program = readFileSync(process.execPath).subarray(0, 4_000_000);
  for (const [tool, ...args] of TOOLS) {
    const skip = spawnSync(tool, ["--version"]).error === undefined ? false : `needs ${tool}`;
    it(`decodes the output of ${tool} ${args.join(" ")}`, { skip }, async () => {
      const stored = execFileSync(tool, args, { input: program, maxBuffer: 2 ** 23 });
      for (const options of [{}, ZLIB]) {
        assert.ok(program.equals((await outcome(stored, 65_536, options)) as Buffer));
      }
    });
  }

  const skip = spawnSync("zstd", ["--version"]).error === undefined ? false : "needs zstd";
  it("returns ERR_LAYER_INVALID when a zstd frame needs a window of over 128 MiB", { skip }, async () => {
    const args = ["-1", "--long=29", "-c"];
    const stored = execFileSync("zstd", args, { input: program, maxBuffer: 2 ** 23 });
    assert.equal(await outcome(stored, 65_536), "ERR_LAYER_INVALID");
  });
});
