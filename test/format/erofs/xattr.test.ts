import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { fromHex, toHex, viewOf } from "#src/base/bytes.js";
import { isCoded } from "#src/base/errors.js";
import {
  decodeXattrs,
  encodeXattrs,
  MAX_XATTRS_SIZE,
  sizeXattrs,
  xattrAreaSize,
  xattrCountOf,
} from "#src/format/erofs/xattr.js";

const HEADER = "00".repeat(12);

/** user.ab = 01 02 03, the two ACLs, and an empty security.x; sorted by full name. */
const AREA = `${HEADER} 01 06 0000 78 000000  00 02 0100 aa 000000  00 03 0200 bbcc 0000  02 01 0300 6162 010203 000000`;
const XATTRS = new Map([
  ["security.x", new Uint8Array()],
  ["system.posix_acl_access", Uint8Array.of(0xaa)],
  ["system.posix_acl_default", Uint8Array.of(0xbb, 0xcc)],
  ["user.ab", Uint8Array.of(1, 2, 3)],
]);

function bytesOfHex(hex: string): Uint8Array {
  return fromHex(hex.replace(/\s/g, ""));
}

describe("xattrs", () => {
  it("are decoded with their full names", () => {
    const bytes = bytesOfHex(AREA);
    assert.deepEqual(decodeXattrs(viewOf(bytes), 0, bytes.length), XATTRS);
  });

  it("are encoded sorted by full name, each padded to 4 bytes", () => {
    const bytes = new Uint8Array(sizeXattrs(XATTRS));
    encodeXattrs(viewOf(bytes), 0, new Map([...XATTRS].reverse()));
    assert.equal(toHex(bytes), toHex(bytesOfHex(AREA)));
  });

  it("take no bytes when there are none", () => {
    assert.equal(sizeXattrs(new Map()), 0);
    assert.deepEqual(decodeXattrs(viewOf(new Uint8Array()), 0, 0), new Map());
  });

  it("count their area in units of 4 bytes beyond the header, plus 1", () => {
    for (const [count, size] of [
      [0, 0],
      [1, 12],
      [2, 16],
      [0xffff, MAX_XATTRS_SIZE],
    ] as const) {
      assert.equal(xattrAreaSize(count), size);
      assert.equal(xattrCountOf(size), count);
    }
  });

  for (const [what, hex] of [
    ["a name that ends outside", `${HEADER} ff 01 0000`],
    ["a value that ends outside", `${HEADER} 01 01 ffff 78000000`],
    ["no place for an xattr's head", `${HEADER} 01`],
  ] as const) {
    it(`give a RangeError for ${what}`, () => {
      const bytes = bytesOfHex(hex);
      assert.throws(() => decodeXattrs(viewOf(bytes), 0, bytes.length), RangeError);
    });
  }

  it("give a RangeError for an area that ends outside the image", () => {
    assert.throws(() => decodeXattrs(viewOf(bytesOfHex(HEADER)), 0, 16), RangeError);
  });

  for (const [what, hex] of [
    ["a shared area", `${"00".repeat(4)} 01 ${"00".repeat(11)}`],
    ["an unknown prefix", `${HEADER} 00 07 0000`],
  ] as const) {
    it(`refuse ${what} with a code`, () => {
      const bytes = bytesOfHex(hex);
      assert.throws(
        () => decodeXattrs(viewOf(bytes), 0, bytes.length),
        (error) => isCoded(error, "ERR_FEATURE_UNSUPPORTED"),
      );
    });
  }
});
