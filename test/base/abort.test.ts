import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { orAborted } from "#src/base/abort.js";

describe("orAborted()", () => {
  it("gives the result or the failure of the work", async () => {
    const { signal } = new AbortController();
    assert.equal(await orAborted(Promise.resolve(1), signal), 1);
    await assert.rejects(orAborted(Promise.reject(new TypeError("broken")), signal), TypeError);
  });

  it("leaves when its signal fires while the work goes on for others", async () => {
    const controller = new AbortController();
    let finish = (_: number): void => undefined;
    const work = new Promise<number>((resolve) => {
      finish = resolve;
    });
    const [left, stayed] = [
      orAborted(work, controller.signal),
      orAborted(work, new AbortController().signal),
    ];
    controller.abort();
    await assert.rejects(left, { code: "ERR_ABORTED" });
    await assert.rejects(orAborted(work, controller.signal), { code: "ERR_ABORTED" });
    finish(7);
    assert.equal(await stayed, 7);
  });
});
