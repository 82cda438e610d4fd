import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { toHex } from "#src/base/bytes.js";
import { isCoded } from "#src/base/errors.js";
import {
  decodeTarTrailer,
  encodeTarTrailer,
  looksLikeTarTrailer,
  TAR_TRAILER_SIZE,
} from "#src/format/blob/tar-trailer.js";
import { readFixture } from "../../support/fixtures.ts";

const GOLDEN_BLOB = "be7d77eeb719f70884758d1aa800ed0fb09d701aaec469964e9d54325f0d5fef";

describe("a tar trailer", () => {
  it("has the bytes that nydus writes", () => {
    const blob = readFixture("golden", "nydus", "blobs", GOLDEN_BLOB);
    const bytes = blob.subarray(7802, 7802 + TAR_TRAILER_SIZE);
    assert.deepEqual(decodeTarTrailer(bytes), { name: "image.blob", size: 7802 });
    assert.equal(toHex(encodeTarTrailer({ name: "image.blob", size: 7802 })), toHex(bytes));
  });

  for (const size of [0, 1, 8 ** 11 - 1, 8 ** 11, 2 ** 40, Number.MAX_SAFE_INTEGER]) {
    it(`holds a size of ${size}`, () => {
      const bytes = encodeTarTrailer({ name: "image.blob", size });
      assert.equal(bytes.length, TAR_TRAILER_SIZE);
      assert.deepEqual(decodeTarTrailer(bytes), { name: "image.blob", size });
    });
  }

  it("is refused with another bit anywhere", () => {
    const sound = encodeTarTrailer({ name: "blob.meta", size: 4128 });
    for (let at = 0; at < TAR_TRAILER_SIZE; at++) {
      const changed = sound.slice();
      changed[at] = (changed[at] ?? 0) ^ 0x41;
      assert.throws(
        () => decodeTarTrailer(changed),
        (error) => isCoded(error, "ERR_BLOB_CORRUPT"),
        `byte ${at}`,
      );
    }
  });

  it("is not seen in POSIX headers, directories or short bytes", () => {
    const posix = encodeTarTrailer({ name: "a", size: 0 });
    posix.set([0x75, 0x73, 0x74, 0x61, 0x72, 0, 0x30, 0x30], 257);
    const directory = encodeTarTrailer({ name: "a", size: 0 });
    directory[156] = 0x35;
    for (const bytes of [posix, directory, posix.subarray(1), new Uint8Array()]) {
      assert.equal(looksLikeTarTrailer(bytes), false);
    }
  });
});
