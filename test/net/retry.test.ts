import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CodedError, type ErrorCode } from "#src/base/errors.js";
import {
  DEFAULT_RETRY,
  MOUNT_RETRY,
  parseRetryAfter,
  type RetryPolicy,
  retried,
  retryDelay,
  withRetryAfter,
} from "#src/net/retry.js";
import { FakeClock } from "../support/fake-clock.ts";

describe("retryDelay()", () => {
  it("doubles, stays under the longest wait, and never comes before the server's wish", () => {
    const delays = [1, 2, 3, 20].map((attempt) => retryDelay(DEFAULT_RETRY, attempt, 0, undefined));
    assert.deepEqual(delays, [250, 500, 1000, 15_000]);
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

describe("retried()", () => {
  const signal = new AbortController().signal;

  async function failing(
    policy: RetryPolicy,
    code: ErrorCode,
    options: { callMs?: number; retryAfterMs?: number } = {},
  ): Promise<{ calls: number; clock: FakeClock }> {
    const clock = new FakeClock();
    let calls = 0;
    const call = async (): Promise<never> => {
      calls++;
      clock.time += options.callMs ?? 0;
      throw withRetryAfter(new CodedError(code, "gone"), options.retryAfterMs);
    };
    await assert.rejects(retried(call, { clock, random: () => 0.999 }, policy, signal), { code });
    return { calls, clock };
  }

  it("ends after its attempts, and in the time that its policy promises", async () => {
    for (const policy of [DEFAULT_RETRY, MOUNT_RETRY]) {
      const { calls, clock } = await failing(policy, "ERR_SOURCE_UNAVAILABLE");
      assert.equal(calls, policy.attempts);
      assert.ok(clock.time <= policy.deadlineMs, `${clock.time} ms`);
    }
  });

  it("begins nothing after its deadline, however slow the calls and the server's wishes are", async () => {
    const slow = await failing(MOUNT_RETRY, "ERR_SOURCE_UNAVAILABLE", { callMs: 6000 });
    assert.equal(slow.calls, 2);
    const wished = await failing(DEFAULT_RETRY, "ERR_SOURCE_UNAVAILABLE", { retryAfterMs: 1e9 });
    assert.ok(wished.clock.time <= DEFAULT_RETRY.deadlineMs, `${wished.clock.time} ms`);
  });

  it("does not repeat what will not pass", async () => {
    assert.equal((await failing(DEFAULT_RETRY, "ERR_REGISTRY_DENIED")).calls, 1);
  });
});
