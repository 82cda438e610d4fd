import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { DEFAULT_RETRY, parseRetryAfter, retryDelay } from "#src/net/retry.js";

describe("retryDelay()", () => {
  it("doubles, stays under the longest wait, and never comes before the server's wish", () => {
    const delays = [1, 2, 3, 20].map((attempt) => retryDelay(DEFAULT_RETRY, attempt, 0, undefined));
    assert.deepEqual(delays, [100, 200, 400, 15_000]);
    assert.equal(retryDelay(DEFAULT_RETRY, 1, 0, 5000), 5000);
    assert.ok(retryDelay(DEFAULT_RETRY, 1, 0.9, 5000) > 5000);
    assert.equal(retryDelay(DEFAULT_RETRY, 20, 0.999, 1e9), 30_000);
  });
});

describe("parseRetryAfter()", () => {
  it("reads seconds and dates, and ignores anything else", () => {
    const now = Date.parse("Wed, 21 Oct 2015 07:28:00 GMT");
    assert.deepEqual(
      ["120", "Wed, 21 Oct 2015 07:28:30 GMT", "Wed, 21 Oct 2015 07:00:00 GMT", "soon", undefined].map(
        (header) => parseRetryAfter(header, now),
      ),
      [120_000, 30_000, 0, undefined, undefined],
    );
  });
});
