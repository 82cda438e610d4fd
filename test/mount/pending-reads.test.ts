import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CodedError } from "#src/base/errors.js";
import { PendingReads } from "#src/mount/pending-reads.js";

/** Work that never ends, and never looks at its signal. */
const deaf = (): Promise<never> => new Promise(() => undefined);

describe("PendingReads", () => {
  it("ends a read at its deadline even when the work does not heed its signal", async () => {
    const pending = new PendingReads(20);
    await assert.rejects(pending.run("a file", deaf), { code: "ERR_DEADLINE_EXCEEDED", message: /a file/ });
  });

  it("ends every read when it is closed, and takes no more", async () => {
    const pending = new PendingReads(60_000);
    const waiting = [pending.run("one", deaf), pending.run("two", deaf)];
    pending.close();
    for (const read of waiting) await assert.rejects(read, { code: "ERR_ABORTED" });
    await assert.rejects(pending.run("three", deaf), { code: "ERR_ABORTED" });
  });

  it("ends one read when its controller says so, for the reason given", async () => {
    const pending = new PendingReads(60_000);
    const controller = new AbortController();
    const reason = new Error("killed");
    const read = pending.run("one", deaf, controller);
    controller.abort(reason);
    await assert.rejects(read, reason);
  });

  it("passes on why the work failed", async () => {
    const away = (): Promise<never> => Promise.reject(new CodedError("ERR_SOURCE_UNAVAILABLE", "away"));
    await assert.rejects(new PendingReads().run("a file", away), { code: "ERR_SOURCE_UNAVAILABLE" });
  });
});
