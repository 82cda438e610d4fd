import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { limit } from "#src/base/limit.js";

describe("limit()", () => {
  it("runs no more tasks at once than its width, and all of them", async () => {
    const run = limit(2);
    let running = 0;
    let peak = 0;
    const results = await Promise.all(
      [1, 2, 3, 4, 5].map((value) =>
        run(async () => {
          running++;
          peak = Math.max(peak, running);
          await new Promise((resolve) => setImmediate(resolve));
          running--;
          return value;
        }),
      ),
    );
    assert.deepEqual({ results, peak }, { results: [1, 2, 3, 4, 5], peak: 2 });
  });
});
