import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { TokenBucket } from "#src/base/token-bucket.js";

describe("TokenBucket", () => {
  it("gives the burst at once, then the rate, and never more than both in any time", () => {
    const bucket = new TokenBucket(100, 50, 0);
    assert.equal(bucket.take(50, 0), 0);
    assert.equal(bucket.take(10, 0), 100);
    assert.equal(bucket.take(10, 0), 200);
    assert.equal(bucket.take(10, 250), 50);
    assert.equal(bucket.take(10, 10_000), 0);
    assert.equal(bucket.take(50, 10_000), 100);
  });

  it("lets more be taken at once than its burst, and makes the next one wait for it", () => {
    const bucket = new TokenBucket(100, 10, 0);
    assert.equal(bucket.take(110, 0), 1000);
    assert.equal(bucket.take(0, 500), 500);
  });

  it("never waits without a limit", () => {
    assert.equal(new TokenBucket(Number.POSITIVE_INFINITY, 1, 0).take(10 ** 12, 0), 0);
  });
});
