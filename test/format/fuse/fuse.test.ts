import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { byteString, toHex, viewOf } from "#src/base/bytes.js";
import {
  encodeAbsentEntryOut,
  encodeAttributes,
  encodeAttrOut,
  encodeEntryOut,
  FUSE_ATTR_OUT_SIZE,
  FUSE_ATTR_SIZE,
  FUSE_ENTRY_OUT_SIZE,
  type FuseAttributes,
} from "#src/format/fuse/attr.js";
import {
  encodeStatfsOut,
  encodeXattrSizeOut,
  FUSE_STATFS_OUT_SIZE,
  readInOffset,
  readInSize,
} from "#src/format/fuse/bodies.js";
import { direntPlusSize, direntSize, encodeDirent } from "#src/format/fuse/dirent.js";
import {
  decodeInHeader,
  encodeInHeader,
  encodeOutHeader,
  FUSE_UNIQUE_RESEND,
  newInHeader,
} from "#src/format/fuse/header.js";
import { decodeInitIn, encodeInitOut, FUSE_INIT_OUT_SIZE } from "#src/format/fuse/init.js";
import { FUSE_OPCODES, hasNoReply } from "#src/format/fuse/opcodes.js";

/** What `encode` writes, as hex; it starts from 0xee bytes, so that a byte left out shows. */
function written(size: number, encode: (view: DataView) => void): string {
  const bytes = new Uint8Array(size).fill(0xee);
  encode(viewOf(bytes));
  return toHex(bytes);
}

function view(hex: string): DataView {
  return viewOf(Buffer.from(hex.replaceAll(" ", ""), "hex"));
}

const hex = (...words: readonly string[]): string => words.join("").replaceAll(" ", "");

const ATTRIBUTES: FuseAttributes = {
  ino: 0x1_0000_0002,
  size: 0x1234,
  blocks: 10,
  mtimeSeconds: -2,
  mtimeNanoseconds: 999_999_999,
  mode: 0o100644,
  nlink: 3,
  uid: 1000,
  gid: 0xffff_fffe,
  rdev: 0x0103,
};

const ATTRIBUTES_HEX = hex(
  "0200000001000000 3412000000000000 0a00000000000000",
  "feffffffffffffff feffffffffffffff feffffffffffffff",
  "ffc99a3b ffc99a3b ffc99a3b",
  "a4810000 03000000 e8030000 feffffff 03010000 00100000 00000000",
);

describe("decodeInHeader()", () => {
  it("reads a READ request as the kernel sends it", () => {
    const request = view(
      "50000000 0f000000 a600000000000000 8200000000000000 e8030000 e8030000 39300000 0000 0000" +
        "0000000000000000 0000020000000000 00001000 00000000 0000000000000000 00800000 00000000",
    );
    const header = newInHeader();
    decodeInHeader(request, 0, header);
    assert.deepEqual(header, {
      length: 80,
      opcode: FUSE_OPCODES.READ,
      unique: 166,
      nodeId: 130,
      pid: 12_345,
    });
    assert.equal(readInOffset(request, 40), 131_072);
    assert.equal(readInSize(request, 40), 1_048_576);
  });

  it("reads what encodeInHeader() writes", () => {
    const header = { length: 41, opcode: 1, unique: 2 ** 40 + 2, nodeId: 2 ** 33, pid: 99 };
    const bytes = viewOf(new Uint8Array(40));
    encodeInHeader(bytes, 0, header);
    const back = newInHeader();
    decodeInHeader(bytes, 0, back);
    assert.deepEqual(back, header);
  });

  it("keeps apart what the kernel sends again, by the highest bit of the name", () => {
    const again = view(
      "28000000 01000000 0600000001000080 0100000000000000 00000000 00000000 00000000 0000 0000",
    );
    const header = newInHeader();
    decodeInHeader(again, 0, header);
    assert.equal(header.unique, FUSE_UNIQUE_RESEND + 2 ** 32 + 6);
    assert.equal(
      written(16, (out) => encodeOutHeader(out, 0, 0, 0, header.unique)),
      hex("10000000 00000000 0600000001000080"),
    );
  });

  it("throws RangeError when the request is cut short", () => {
    assert.throws(() => decodeInHeader(view("28000000 0f000000 0000"), 0, newInHeader()), RangeError);
  });
});

describe("encodeOutHeader()", () => {
  it("writes length, negative error and a unique above 32 bits", () => {
    assert.equal(
      written(16, (out) => encodeOutHeader(out, 0, 4, 0, 2 ** 32 + 8)),
      hex("14000000 00000000 0800000001000000"),
    );
    assert.equal(
      written(16, (out) => encodeOutHeader(out, 0, 0, 5, 6)),
      hex("10000000 fbffffff 0600000000000000"),
    );
  });
});

describe("INIT", () => {
  it("is read as Linux 6.18 sends it", () => {
    const request = view("07000000 2d000000 00000200 fbffff7f fd050000");
    assert.deepEqual(decodeInitIn(request, 0), {
      major: 7,
      minor: 45,
      maxReadahead: 131_072,
      flags: 0x7fff_fffb,
      canResend: true,
    });
  });

  it("is answered with 64 bytes", () => {
    const out = {
      maxReadahead: 1 << 20,
      flags: 0x0142_6001,
      maxBackground: 64,
      congestionThreshold: 48,
      maxWrite: 4096,
      timeGranularity: 1,
      maxPages: 256,
    };
    assert.equal(
      written(FUSE_INIT_OUT_SIZE, (bytes) => encodeInitOut(bytes, 0, out)),
      hex("07000000 26000000 00001000 01604201 4000 3000 00100000 01000000 0001 0000", "00".repeat(32)),
    );
  });
});

describe("attributes", () => {
  it("are 88 bytes, with one time three times and seconds before 1970", () => {
    assert.equal(
      written(FUSE_ATTR_SIZE, (out) => encodeAttributes(out, 0, ATTRIBUTES)),
      ATTRIBUTES_HEX,
    );
  });

  it("stand behind their validity in GETATTR and LOOKUP", () => {
    assert.equal(
      written(FUSE_ATTR_OUT_SIZE, (out) => encodeAttrOut(out, 0, 86_400, ATTRIBUTES)),
      hex("8051010000000000 00000000 00000000") + ATTRIBUTES_HEX,
    );
    assert.equal(
      written(FUSE_ENTRY_OUT_SIZE, (out) => encodeEntryOut(out, 0, 7, 86_400, ATTRIBUTES)),
      hex("0700000000000000 0000000000000000 8051010000000000 8051010000000000 00000000 00000000") +
        ATTRIBUTES_HEX,
    );
  });

  it("are zeroes with node id 0 for a name that does not exist", () => {
    assert.equal(
      written(FUSE_ENTRY_OUT_SIZE, (out) => encodeAbsentEntryOut(out, 0, 5)),
      "00".repeat(16) + hex("0500000000000000") + "00".repeat(104),
    );
  });
});

describe("encodeDirent()", () => {
  it("pads the name to 8 bytes and keeps bytes that are not UTF-8", () => {
    const name = byteString(Uint8Array.of(0x61, 0xff, 0x80));
    assert.equal(direntSize(3), 32);
    assert.equal(direntPlusSize(3), 160);
    assert.equal(direntSize(8), 32);
    assert.equal(direntSize(9), 40);
    assert.equal(
      written(32, (out) => encodeDirent(out, 0, { ino: 9, nextOffset: 513, type: 8, name })),
      hex("0900000000000000 0102000000000000 03000000 08000000 61ff800000000000"),
    );
  });
});

describe("the small replies", () => {
  it("are laid out as fuse.h says", () => {
    assert.equal(
      written(8, (out) => encodeXattrSizeOut(out, 0, 300)),
      hex("2c010000 00000000"),
    );
    assert.equal(
      written(FUSE_STATFS_OUT_SIZE, (out) =>
        encodeStatfsOut(out, 0, { blocks: 258, blockSize: 4096, files: 7, nameLength: 255 }),
      ),
      hex("0201000000000000", "00".repeat(16), "0700000000000000", "00".repeat(8)) +
        hex("00100000 ff000000 00100000", "00".repeat(28)),
    );
  });
});

describe("hasNoReply()", () => {
  it("holds for FORGET and BATCH_FORGET only", () => {
    const silent = Object.values(FUSE_OPCODES).filter(hasNoReply);
    assert.deepEqual(silent, [FUSE_OPCODES.FORGET, FUSE_OPCODES.BATCH_FORGET]);
  });
});
