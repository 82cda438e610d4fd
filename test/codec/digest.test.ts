import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { toHex } from "#src/base/bytes.js";
import { createSha256, digestChunk, sha256 } from "#src/codec/digest.js";

const abc = new Uint8Array(Buffer.from("abc"));
const SHA256_ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

describe("digestChunk()", () => {
  it("gives the published test vectors", () => {
    assert.equal(toHex(digestChunk("sha256", abc)), SHA256_ABC);
    assert.equal(
      toHex(digestChunk("blake3", abc)),
      "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85",
    );
    assert.equal(
      toHex(digestChunk("blake3", new Uint8Array(0))),
      "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
    );
  });
});

describe("createSha256()", () => {
  it("gives the digest of all pieces together", () => {
    const state = createSha256();
    state.update(abc.subarray(0, 1));
    state.update(abc.subarray(1));
    assert.deepEqual(state.digest(), sha256(abc));
  });
});
