import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CodedError } from "#src/base/errors.js";
import { ImageChunks } from "#src/mount/image-chunks.js";
import { PendingReads } from "#src/mount/pending-reads.js";

const PLAN = { length: 1, pieces: [{ blobIndex: 0, chunkIndex: 0, offset: 0, length: 1 }] };

/** Chunks of one blob that never opens, and never looks at its signal. */
const deaf = new ImageChunks({ open: () => new Promise<never>(() => undefined) }, 1);

describe("PendingReads", () => {
  it("ends a read at its deadline even when the source does not heed its signal", async () => {
    const pending = new PendingReads(deaf, 20);
    await assert.rejects(pending.ensure(PLAN, "a file"), {
      code: "ERR_DEADLINE_EXCEEDED",
      message: /a file/,
    });
  });

  it("ends every read when it is closed, and takes no more", async () => {
    const pending = new PendingReads(deaf, 60_000);
    const waiting = [pending.ensure(PLAN, "one"), pending.ensure(PLAN, "two")];
    pending.close();
    for (const read of waiting) await assert.rejects(read, { code: "ERR_ABORTED" });
    await assert.rejects(pending.ensure(PLAN, "three"), { code: "ERR_ABORTED" });
  });

  it("passes on why a source failed", async () => {
    const failing = new ImageChunks(
      { open: () => Promise.reject(new CodedError("ERR_SOURCE_UNAVAILABLE", "away")) },
      1,
    );
    await assert.rejects(new PendingReads(failing).ensure(PLAN, "a file"), {
      code: "ERR_SOURCE_UNAVAILABLE",
    });
  });
});
