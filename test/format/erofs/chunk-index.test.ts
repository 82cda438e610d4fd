import { describe, it } from "node:test";
import { CHUNK_INDEX_SIZE, decodeChunkIndex, encodeChunkIndex } from "#src/format/erofs/chunk-index.js";
import { checkRecord } from "../../support/record.ts";

describe("a chunk index", () => {
  const codec = { size: CHUNK_INDEX_SIZE, decode: decodeChunkIndex, encode: encodeChunkIndex };

  it("is that of sync_io.rs in a bootstrap of nydus 2.2", () => {
    checkRecord(codec, "0100 0100 05000000", { blobIndex: 0, chunkIndex: 1, startBlock: 5 });
  });

  it("keeps the high byte of the chunk index beside the blob", () => {
    checkRecord(codec, "cdab fe12 ffffffff", {
      blobIndex: 253,
      chunkIndex: 0x12_abcd,
      startBlock: 0xffff_ffff,
    });
  });
});
