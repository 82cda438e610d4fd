import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { EventLog } from "#src/node/event-log.js";

describe("EventLog", () => {
  it("writes a line for each new event, and keeps the last 256 with those from before", () => {
    const lines: string[] = [];
    const told: string[] = [];
    const log = new EventLog(
      [{ timeMs: 1, event: "earlier" }],
      ({ event }) => told.push(event),
      (line) => lines.push(line),
    );
    for (let index = 0; index < 255; index++) log.add("daemon.died", { pid: index });
    assert.equal(log.events.length, 256);
    assert.deepEqual(log.events[0], { timeMs: 1, event: "earlier" });
    log.keep({ timeMs: 2, event: "heard" });
    assert.equal(log.events.length, 256);
    assert.deepEqual([lines.length, told.length], [255, 255]);
    const { timeMs, ...last } = JSON.parse(lines.at(-1) ?? "");
    assert.deepEqual(last, { event: "daemon.died", pid: 254 });
    assert.equal(typeof timeMs, "number");
  });

  it("does not tell of every failure when there are many", () => {
    const lines: string[] = [];
    const log = new EventLog([], undefined, (line) => lines.push(line));
    for (let index = 0; index < 1000; index++) log.add("read.failed", { index });
    log.add("mount.failed");
    assert.deepEqual([lines.length, log.events.length], [21, 21]);
  });
});
