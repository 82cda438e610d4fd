import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isCoded } from "#src/base/errors.js";
import { decodeToc, encodeToc, MAX_TOC_ROWS, TOC_ROW_SIZE, type TocRow } from "#src/format/blob/toc.js";

function row(name: string): TocRow {
  return {
    name,
    compressor: "zstd",
    digest: new Uint8Array(32).fill(7),
    storedOffset: 2 ** 40,
    storedSize: 10,
    decodedSize: 20,
  };
}

const FULL = [...Array(MAX_TOC_ROWS).keys()].map((index) => row(`section.${index}`));

describe("decodeToc()", () => {
  it("reads what encodeToc() writes, up to 28 rows and 16 characters", () => {
    for (const rows of [[row("a")], FULL, [row("blob.meta.header")]]) {
      assert.deepEqual(decodeToc(encodeToc(rows)), rows);
    }
  });

  const broken: Readonly<Record<string, Uint8Array>> = {
    "no rows": new Uint8Array(),
    "29 rows": new Uint8Array((MAX_TOC_ROWS + 1) * TOC_ROW_SIZE),
    "half a row": encodeToc([row("a")]).subarray(64),
    "an unknown compressor": changed(encodeToc([row("a")]), 0, 8),
    "two compressors": changed(encodeToc([row("a")]), 0, 3),
    "an offset of 2^60": changed(encodeToc([row("a")]), 63, 0x10),
    "one name twice": encodeToc([row("a"), row("a")]),
  };
  for (const [what, bytes] of Object.entries(broken)) {
    it(`refuses ${what}`, () => {
      assert.throws(
        () => decodeToc(bytes),
        (error) => isCoded(error, "ERR_BLOB_CORRUPT"),
      );
    });
  }
});

describe("encodeToc()", () => {
  it("refuses what readers would not find", () => {
    const refused = [
      [],
      [...FULL, row("a")],
      [row("seventeen letters")],
      [{ ...row("a"), compressor: "gzip" as const }],
    ];
    for (const rows of refused) assert.throws(() => encodeToc(rows), RangeError);
  });
});

function changed(bytes: Uint8Array, at: number, value: number): Uint8Array {
  bytes[at] = value;
  return bytes;
}
