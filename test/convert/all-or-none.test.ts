import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { allOrNone } from "#src/convert/all-or-none.js";

const never = new AbortController().signal;

/** A task that ends when it is told to stop, after some more turns of the event loop. */
function untilStopped(ended: string[], name: string): (signal: AbortSignal) => Promise<never> {
  return (signal) =>
    new Promise((_, reject) => {
      signal.addEventListener("abort", () =>
        setTimeout(() => {
          ended.push(name);
          reject(new Error("stopped"));
        }, 5),
      );
    });
}

describe("allOrNone()", () => {
  it("gives the results in the order of the tasks", async () => {
    const slow = () => new Promise<number>((resolve) => setTimeout(() => resolve(1), 5));
    assert.deepEqual(await allOrNone([slow, async () => 2], never), [1, 2]);
  });

  it("throws the first failure once the others have stopped", async () => {
    const ended: string[] = [];
    const cause = new Error("cause");
    const fails = () => Promise.reject(cause);
    const tasks = [untilStopped(ended, "a"), fails, untilStopped(ended, "b")];
    await assert.rejects(allOrNone(tasks, never), cause);
    assert.deepEqual(ended, ["a", "b"]);
  });

  it("passes the caller's signal on", async () => {
    const ended: string[] = [];
    const controller = new AbortController();
    const running = allOrNone([untilStopped(ended, "a")], controller.signal);
    controller.abort();
    await assert.rejects(running, /stopped/);
    assert.deepEqual(ended, ["a"]);
  });
});
