import { describe, it } from "node:test";
import { fromHex, toHex } from "#src/base/bytes.js";
import { BLOB_RECORD_SIZE, decodeBlobRecord, encodeBlobRecord } from "#src/format/rafs/blob-record.js";
import { readFixture } from "../../support/fixtures.ts";
import { checkRecord } from "../../support/record.ts";

/** Two files in one blob. */
const bootstrap = readFixture("golden", "nydus", "bootstrap", "rafs-v6-2.2.boot");

function hexAt(offset: number, size: number): string {
  return toHex(bootstrap.subarray(offset, offset + size));
}

describe("a blob table row", () => {
  it("is that of a bootstrap of nydus 2.2", () => {
    const codec = { size: BLOB_RECORD_SIZE, decode: decodeBlobRecord, encode: encodeBlobRecord };
    checkRecord(codec, hexAt(4096, BLOB_RECORD_SIZE), {
      id: "be7d77eeb719f70884758d1aa800ed0fb09d701aaec469964e9d54325f0d5fef",
      index: 0,
      chunkSize: 0x10_0000,
      chunkCount: 2,
      compressor: 3,
      digester: 0,
      features: 0x7000_0021,
      storedSize: 14_554,
      decodedSize: 36_864,
      tocSize: 1024,
      chunkInformationCompressor: 0,
      chunkInformationOffset: 8314,
      chunkInformationStoredSize: 32,
      chunkInformationDecodedSize: 32,
      tocDigest: fromHex("cfc89ed0739aef4eb1bf0904f0dfdb1c857134eca7319465baae95a99b84acde"),
      metaDigest: new Uint8Array(32),
      metaSize: 0,
      cipher: 0,
    });
  });
});
