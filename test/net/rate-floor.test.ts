import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { RateFloor } from "#src/net/rate-floor.js";
import { FakeClock } from "../support/fake-clock.ts";

describe("RateFloor", () => {
  const limits = { minimumRate: 100, windowMs: 1000 };

  it("tells a transfer that is too slow over a window, and not before", () => {
    const clock = new FakeClock();
    const rate = new RateFloor(clock, limits);
    const given = [50, 49, 60, 60, 10, 10].map((bytes) => {
      rate.begin();
      clock.time += 500;
      return rate.isTooSlowAfter(bytes);
    });
    assert.deepEqual(given, [false, true, false, false, false, true]);
  });

  it("does not count the time that our side takes", () => {
    const clock = new FakeClock();
    const rate = new RateFloor(clock, limits);
    for (let round = 0; round < 100; round++) {
      clock.time += 60_000;
      rate.begin();
      clock.time += 1;
      assert.equal(rate.isTooSlowAfter(1), false);
    }
  });
});
