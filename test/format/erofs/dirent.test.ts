import { describe, it } from "node:test";
import { DIRENT_SIZE, decodeDirent, encodeDirent } from "#src/format/erofs/dirent.js";
import { checkRecord } from "../../support/record.ts";

describe("a directory entry", () => {
  it("has a nid of 64 bits", () => {
    const codec = { size: DIRENT_SIZE, decode: decodeDirent, encode: encodeDirent };
    checkRecord(codec, "8000000001000000 2400 02 00", { nid: 0x1_0000_0080, nameOffset: 36, fileType: 2 });
  });
});
