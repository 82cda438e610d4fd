import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { fromHex, toHex } from "#src/base/bytes.js";
import { isCoded } from "#src/base/errors.js";
import {
  type ChunkInformationShape,
  decodeChunkTable,
  encodeChunkTable,
  storedChunksEnd,
} from "#src/format/blob/chunk-information.js";
import { CHUNK_COMPRESSED, CHUNK_HAS_CRC32C, ChunkTable, findChunk } from "#src/format/blob/chunk-table.js";
import { BLOB_FEATURES } from "#src/format/rafs/features.js";

// The array of the blob be7d77… of nydus 2.2, two chunks.
const GOLDEN_V1 = "0000000000202204 0000000000b02d01 0050000000704503 dc12000000d0b900".replaceAll(" ", "");

const V1: ChunkInformationShape = {
  features: BLOB_FEATURES.ALIGNED,
  compressor: "zstd",
  chunkCount: 2,
  storedEnd: 7802,
  decodedSize: 36864,
};
const V2: ChunkInformationShape = { ...V1, features: BLOB_FEATURES.ALIGNED | BLOB_FEATURES.CHUNK_INFO_V2 };

interface Row {
  readonly stored: readonly [offset: number, size: number];
  readonly decoded: readonly [offset: number, size: number];
  readonly flags?: number;
  readonly crc32c?: number;
}

const SOUND: readonly Row[] = [
  { stored: [0, 4828], decoded: [0, 16931], flags: CHUNK_COMPRESSED },
  { stored: [4828, 2974], decoded: [20480, 13400], flags: CHUNK_COMPRESSED },
];

function tableOf(rows: readonly Row[]): ChunkTable {
  const table = new ChunkTable(rows.length);
  for (const [index, { stored, decoded, flags = 0, crc32c = 0 }] of rows.entries()) {
    [table.storedOffsets[index], table.storedSizes[index]] = stored;
    [table.decodedOffsets[index], table.decodedSizes[index]] = decoded;
    table.flags[index] = flags;
    table.crc32cs[index] = crc32c;
  }
  return table;
}

function failsWith(code: "ERR_BLOB_CORRUPT" | "ERR_FEATURE_UNSUPPORTED" | "ERR_LIMIT_EXCEEDED") {
  return (error: unknown): boolean => isCoded(error, code);
}

describe("decodeChunkTable()", () => {
  it("reads the V1 rows of a real blob", () => {
    assert.deepEqual(decodeChunkTable(fromHex(GOLDEN_V1), V1), tableOf(SOUND));
  });

  it("reads the V2 rows that hold the same", () => {
    const bytes = encodeChunkTable(tableOf(SOUND), V2.features);
    assert.equal(
      toHex(bytes),
      // u32 offset / 4096, u24 size - 1, flags; u40 offset, u24 size; zero.
      "00000000" +
        "224200" +
        "01" +
        "0000000000" +
        "dc1200" +
        "0000000000000000" +
        "05000000" +
        "573400" +
        "01" +
        "dc12000000" +
        "9e0b00" +
        "0000000000000000",
    );
    assert.deepEqual(decodeChunkTable(bytes, V2), tableOf(SOUND));
  });

  it("keeps the CRC-32C of V2 rows", () => {
    const rows: Row[] = [
      { stored: [0, 100], decoded: [0, 100], flags: CHUNK_HAS_CRC32C, crc32c: 0xdead_beef },
    ];
    const shape = { ...V2, chunkCount: 1, decodedSize: 4096 };
    const table = decodeChunkTable(encodeChunkTable(tableOf(rows), V2.features), shape);
    assert.equal(table.crc32cOf(0), 0xdead_beef);
  });

  it("reads a blob without chunks", () => {
    assert.equal(decodeChunkTable(new Uint8Array(), { ...V1, chunkCount: 0 }).count, 0);
  });

  const refused: readonly (readonly [what: string, rows: readonly Row[]])[] = [
    ["a first chunk that is not at 0", [{ stored: [0, 9], decoded: [4096, 9] }]],
    ["a gap in the decoded space", [SOUND[0] as Row, { stored: [4828, 9], decoded: [24576, 9] }]],
    ["an overlap in the decoded space", [SOUND[0] as Row, { stored: [4828, 9], decoded: [16384, 9] }]],
    ["an overlap in the stored space", [SOUND[0] as Row, { stored: [4827, 9], decoded: [20480, 9] }]],
    ["a chunk behind the stored end", [{ stored: [7800, 9], decoded: [0, 9] }]],
    ["a chunk behind the decoded end", [{ stored: [0, 36865], decoded: [0, 36865] }]],
  ];
  for (const [what, rows] of refused) {
    it(`refuses ${what}`, () => {
      for (const shape of [V1, V2]) {
        const bytes = encodeChunkTable(tableOf(rows), shape.features);
        const storedEnd = what.includes("decoded end") ? 2 ** 20 : shape.storedEnd;
        assert.throws(
          () => decodeChunkTable(bytes, { ...shape, chunkCount: rows.length, storedEnd }),
          failsWith("ERR_BLOB_CORRUPT"),
        );
      }
    });
  }

  const refusedV2: readonly (readonly [what: string, row: Row])[] = [
    ["a raw chunk of other size", { stored: [0, 8], decoded: [0, 9] }],
    ["a chunk of no stored bytes", { stored: [0, 0], decoded: [0, 9], flags: CHUNK_COMPRESSED }],
    ["a CRC-32C of zero", { stored: [0, 9], decoded: [0, 9], flags: CHUNK_HAS_CRC32C }],
    ["a zran chunk", { stored: [0, 9], decoded: [0, 9], flags: 2 }],
    ["a batch chunk", { stored: [0, 9], decoded: [0, 9], flags: 4 }],
    ["an encrypted chunk", { stored: [0, 9], decoded: [0, 9], flags: 8 }],
  ];
  for (const [what, row] of refusedV2) {
    it(`refuses ${what} in a plain blob`, () => {
      const bytes = encodeChunkTable(tableOf([row]), V2.features);
      assert.throws(() => decodeChunkTable(bytes, { ...V2, chunkCount: 1 }), failsWith("ERR_BLOB_CORRUPT"));
    });
  }

  it("refuses an array of another length", () => {
    assert.throws(() => decodeChunkTable(fromHex(GOLDEN_V1).subarray(1), V1), failsWith("ERR_BLOB_CORRUPT"));
    assert.throws(() => decodeChunkTable(fromHex(GOLDEN_V1), V2), failsWith("ERR_BLOB_CORRUPT"));
  });

  it("refuses over 2^24 chunks before it makes a table for them", () => {
    const shape = { ...V1, chunkCount: 2 ** 32 - 1 };
    assert.throws(() => decodeChunkTable(new Uint8Array(), shape), failsWith("ERR_LIMIT_EXCEEDED"));
  });

  it("refuses gzip with V1 rows, whose sizes are guesses", () => {
    const shape = { ...V1, compressor: "gzip" } as const;
    assert.throws(() => decodeChunkTable(fromHex(GOLDEN_V1), shape), failsWith("ERR_FEATURE_UNSUPPORTED"));
  });

  it("gives a sound table or ERR_BLOB_CORRUPT for any bytes", () => {
    for (const shape of [V1, V2]) {
      const rowSize = shape === V1 ? 16 : 24;
      fc.assert(
        fc.property(fc.uint8Array({ minLength: rowSize * 2, maxLength: rowSize * 2 }), (bytes) => {
          try {
            const table = decodeChunkTable(bytes, shape);
            assert.ok((table.decodedOffsets[1] ?? 0) >= (table.decodedSizes[0] ?? 0));
          } catch (error) {
            if (!isCoded(error, "ERR_BLOB_CORRUPT")) throw error;
          }
        }),
        { numRuns: 500 },
      );
    }
  });
});

describe("encodeChunkTable()", () => {
  it("writes the V1 rows of a real blob", () => {
    assert.equal(toHex(encodeChunkTable(tableOf(SOUND), V1.features)), GOLDEN_V1);
  });

  it("writes what decodeChunkTable() reads, at the limits of every field", () => {
    const size = fc.oneof(fc.integer({ min: 1, max: 2 ** 24 - 1 }), fc.constantFrom(1, 2 ** 20, 2 ** 24 - 1));
    const chunk = fc.record({ decodedSize: size, storedSize: size, gap: fc.nat(2 ** 36) });
    fc.assert(
      fc.property(fc.array(chunk, { maxLength: 12 }), (chunks) => {
        let stored = 0;
        let decoded = 0;
        const rows = chunks.map(({ decodedSize, storedSize, gap }) => {
          const row: Row = {
            stored: [stored + gap, storedSize],
            decoded: [decoded, decodedSize],
            flags: storedSize === decodedSize ? 0 : CHUNK_COMPRESSED,
          };
          stored += gap + storedSize;
          decoded += Math.ceil(decodedSize / 4096) * 4096;
          return row;
        });
        for (const { features } of [V1, V2]) {
          const shape = { ...V1, features, chunkCount: rows.length, storedEnd: stored, decodedSize: decoded };
          assert.deepEqual(decodeChunkTable(encodeChunkTable(tableOf(rows), features), shape), tableOf(rows));
        }
      }),
      { numRuns: 100 },
    );
  });

  it("writes chunks of 16 MiB in V1", () => {
    const rows: Row[] = [{ stored: [0, 2 ** 24], decoded: [0, 2 ** 24] }];
    const shape = { ...V1, chunkCount: 1, storedEnd: 2 ** 24, decodedSize: 2 ** 24 };
    assert.deepEqual(decodeChunkTable(encodeChunkTable(tableOf(rows), V1.features), shape), tableOf(rows));
    assert.throws(() => encodeChunkTable(tableOf(rows), V2.features), RangeError);
  });

  it("refuses what the form cannot hold", () => {
    const rows: readonly Row[] = [
      { stored: [2 ** 40, 1], decoded: [0, 1] },
      { stored: [0, 1], decoded: [2 ** 44, 1] },
      { stored: [0, 1], decoded: [100, 1] },
      { stored: [0, 2 ** 24 + 1], decoded: [0, 1], flags: CHUNK_COMPRESSED },
      { stored: [0, 0], decoded: [0, 0] },
    ];
    for (const row of rows) {
      for (const { features } of [V1, V2]) {
        assert.throws(() => encodeChunkTable(tableOf([row]), features), RangeError);
      }
    }
    const compressedToItsSize = tableOf([{ stored: [0, 9], decoded: [0, 9], flags: CHUNK_COMPRESSED }]);
    assert.throws(() => encodeChunkTable(compressedToItsSize, V1.features), RangeError);
  });
});

describe("findChunk()", () => {
  it("finds the chunk of every decoded byte, and none in the padding or behind the end", () => {
    const table = tableOf(SOUND);
    const found = [0, 16930, 16931, 20479, 20480, 33879, 33880, 2 ** 40].map((at) => findChunk(table, at));
    assert.deepEqual(found, [0, 0, undefined, undefined, 1, 1, undefined, undefined]);
    assert.equal(findChunk(new ChunkTable(0), 0), undefined);
  });
});

describe("storedChunksEnd()", () => {
  const chunkInformation = { offset: 8314, decodedSize: 32 };

  it("ends where the array starts, less its tar trailer", () => {
    const { CAP_TAR_TOC, HAS_TAR_HEADER } = BLOB_FEATURES;
    const storedSize = 14554;
    const plain = { features: CAP_TAR_TOC, storedSize, chunkInformation };
    assert.equal(storedChunksEnd(plain), 8314);
    assert.equal(storedChunksEnd({ ...plain, features: CAP_TAR_TOC | HAS_TAR_HEADER }), 7802);
  });

  it("is the stored size for old blobs, separate ones and those without array", () => {
    const { CAP_TAR_TOC, SEPARATE } = BLOB_FEATURES;
    const storedSize = 14554;
    assert.equal(storedChunksEnd({ features: 0, storedSize, chunkInformation }), storedSize);
    assert.equal(
      storedChunksEnd({ features: CAP_TAR_TOC | SEPARATE, storedSize, chunkInformation }),
      storedSize,
    );
    assert.equal(
      storedChunksEnd({ features: CAP_TAR_TOC, storedSize, chunkInformation: undefined }),
      storedSize,
    );
  });
});
