import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { DigestTap } from "#src/convert/digest-tap.js";
import { inPieces } from "../support/layers.ts";
import { sha256Of } from "../support/made-image.ts";

const BYTES = new Uint8Array(1000).map((_, index) => index);

describe("DigestTap", () => {
  it("covers what its reader left", async () => {
    const tap = new DigestTap(inPieces(BYTES, 100));
    for await (const piece of tap) if (piece[0] !== 0) break;
    assert.equal(tap.size, 200);
    assert.equal(await tap.finish(), sha256Of(BYTES));
    assert.equal(tap.size, 1000);
  });

  it("closes its source when it is given up", async () => {
    let isClosed = false;
    async function* source(): AsyncGenerator<Uint8Array> {
      try {
        yield BYTES;
      } finally {
        isClosed = true;
      }
    }
    const tap = new DigestTap(source());
    for await (const _ of tap) break;
    assert.equal(isClosed, false);
    await tap.close();
    assert.equal(isClosed, true);
  });
});
