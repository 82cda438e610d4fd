import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { SerialQueue } from "#src/daemon/serial-queue.js";

describe("SerialQueue.run()", () => {
  it("runs works of one key in turn, failures or not, and others beside them", async () => {
    const queue = new SerialQueue();
    const steps: string[] = [];
    const work =
      (name: string, fails = false) =>
      async () => {
        steps.push(`${name} begins`);
        await new Promise((resolve) => setTimeout(resolve, 1));
        steps.push(`${name} ends`);
        if (fails) throw new Error(name);
        return name;
      };
    const first = queue.run("a", work("first", true));
    const second = queue.run("a", work("second"));
    const other = queue.run("b", work("other"));
    await assert.rejects(first, /first/);
    assert.deepEqual(await Promise.all([second, other]), ["second", "other"]);
    assert.ok(steps.indexOf("first ends") < steps.indexOf("second begins"));
    assert.ok(steps.indexOf("other begins") < steps.indexOf("first ends"));
  });
});
