import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { fromHex, viewOf } from "#src/base/bytes.js";
import { decodeInode, EXTENDED_INODE_SIZE, encodeInode, INODE_LAYOUT } from "#src/format/erofs/inode.js";
import { checkRecord } from "../../support/record.ts";

const extended = { size: EXTENDED_INODE_SIZE, decode: decodeInode, encode: encodeInode };

describe("an extended inode", () => {
  it("holds what a regular file needs", () => {
    const hex = `0900 0400 ed81 0000 2342 0000 0100 0000 28000000 02000000 e8030000 ffffffff
      00c2eb0b00000000 ffc99a3b 03000000 00000000000000000000000000000000`;
    checkRecord(extended, hex, {
      recordSize: 64,
      layout: INODE_LAYOUT.CHUNKED,
      unknownFormat: 0,
      xattrCount: 4,
      mode: 0o100755,
      size: 0x1_0000_4223,
      union: 0x28,
      ino: 2,
      uid: 1000,
      gid: 0xffff_ffff,
      mtimeSeconds: 200_000_000,
      mtimeNanoseconds: 999_999_999,
      nlink: 3,
    });
  });

  it("holds times before 1970", () => {
    const hex = `0500 0000 ed41 0000 4300000000000000 03000000 01000000 00000000 00000000
      feffffffffffffff 01000000 02000000 00000000000000000000000000000000`;
    checkRecord(extended, hex, {
      recordSize: 64,
      layout: INODE_LAYOUT.INLINE,
      unknownFormat: 0,
      xattrCount: 0,
      mode: 0o040755,
      size: 67,
      union: 3,
      ino: 1,
      uid: 0,
      gid: 0,
      mtimeSeconds: -2,
      mtimeNanoseconds: 1,
      nlink: 2,
    });
  });

  it("gives a RangeError for a size or a time beyond 2^53-1", () => {
    for (const offset of [15, 39]) {
      const bytes = fromHex("0900".padEnd(128, "0"));
      bytes[offset] = 0x7f;
      assert.throws(() => decodeInode(viewOf(bytes), 0), RangeError);
    }
  });
});

describe("a compact inode", () => {
  it("is decoded, without a time", () => {
    const bytes = fromHex("0800020081a4030000100000ffffffff280000000700000064006500ffffffff");
    assert.deepEqual(decodeInode(viewOf(bytes), 0), {
      recordSize: 32,
      layout: INODE_LAYOUT.CHUNKED,
      unknownFormat: 0,
      xattrCount: 2,
      mode: 0xa481,
      size: 4096,
      union: 0x28,
      ino: 7,
      uid: 100,
      gid: 101,
      mtimeSeconds: 0,
      mtimeNanoseconds: 0,
      nlink: 3,
    });
  });
});
