import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { EventLog } from "#src/node/event-log.js";

describe("EventLog", () => {
  it("writes a line for each new event, and keeps the last 256 with those from before", () => {
    const written: unknown[] = [];
    const told: string[] = [];
    const log = new EventLog(
      [{ timeMs: 1, event: "earlier" }],
      ({ event }) => told.push(event),
      (event) => written.push(event),
    );
    for (let index = 0; index < 255; index++) log.add("daemon.died", { pid: index });
    assert.equal(log.events.length, 256);
    assert.deepEqual(log.events[0], { timeMs: 1, event: "earlier" });
    log.keep({ timeMs: 2, event: "heard" });
    assert.equal(log.events.length, 256);
    assert.deepEqual([written.length, told.length], [255, 255]);
    assert.deepEqual(written.at(-1), log.events.at(-2));
    const { timeMs, ...last } = log.events.at(-2) ?? { timeMs: Number.NaN };
    assert.deepEqual(last, { event: "daemon.died", pid: 254 });
    assert.ok(timeMs > 1e12);
  });

  it("keeps, tells and writes no login that came into a text", () => {
    const told: unknown[] = [];
    const written: unknown[] = [];
    const log = new EventLog(
      [],
      (event) => told.push(event),
      (event) => written.push(event),
    );
    log.add("call.failed", { message: "https://me:planted@r.example/v2/?token=planted" });
    const all = JSON.stringify([told, written, log.events]);
    assert.equal(all.includes("planted"), false, all);
  });

  it("does not tell of every failure when there are many", () => {
    const written: unknown[] = [];
    const log = new EventLog([], undefined, (event) => written.push(event));
    for (let index = 0; index < 1000; index++) log.add("read.failed", { index });
    log.add("mount.failed");
    assert.deepEqual([written.length, log.events.length], [21, 21]);
  });
});
