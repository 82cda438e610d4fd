import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CodedError, type ErrorCode } from "#src/base/errors.js";
import { JoinedSource } from "#src/daemon/joined-source.js";
import type { ChunkSource } from "#src/store/chunk-source.js";
import { DEMAND, gather, giving, makeBlob } from "../support/chunked-blob.ts";

const made = makeBlob(4);
/** A source that gives the first chunks of a run, and then fails. */
function failing(code: ErrorCode, given = 0): ChunkSource {
  return {
    name: code,
    async fetch(blob, run, options, sink) {
      if (given > 0) await giving(made)(blob, { ...run, count: given }, options, sink);
      throw new CodedError(code, "as the test wants it");
    },
  };
}

const good: ChunkSource = { name: "good", fetch: giving(made) };
const ALL = { first: 0, count: 4 };

describe("JoinedSource", () => {
  it("asks the next source for what the first one did not give", async () => {
    const joined = new JoinedSource(failing("ERR_SOURCE_UNAVAILABLE", 1));
    joined.add(good);
    const { found, sink } = gather();
    await joined.fetch(made.blob, ALL, DEMAND, sink);
    assert.deepEqual([...found.keys()].sort(), [0, 1, 2, 3]);
  });

  it("no longer asks a source that was removed", async () => {
    let asked = 0;
    const first: ChunkSource = { name: "first", fetch: async () => void asked++ };
    const joined = new JoinedSource(first);
    joined.add(good);
    joined.remove(first);
    const { found, sink } = gather();
    await joined.fetch(made.blob, ALL, DEMAND, sink);
    assert.deepEqual([found.size, asked], [4, 0]);
  });

  it("fails with the more serious of two failures", async () => {
    const joined = new JoinedSource(failing("ERR_SOURCE_UNAVAILABLE"));
    joined.add(failing("ERR_CHUNK_CORRUPT"));
    await assert.rejects(
      joined.fetch(made.blob, ALL, DEMAND, () => undefined),
      { code: "ERR_CHUNK_CORRUPT" },
    );
  });
});
