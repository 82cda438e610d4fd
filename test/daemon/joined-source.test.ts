import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { JoinedSource } from "#src/daemon/joined-source.js";
import { DEMAND, failing, gather, giving, makeBlob, scriptedSource } from "../support/chunked-blob.ts";

const made = makeBlob(4);
const ALL = { first: 0, count: 4 };

describe("JoinedSource", () => {
  it("asks the next source for what the first one did not give", async () => {
    const first = scriptedSource("first", [failing("ERR_SOURCE_UNAVAILABLE", made, 1)]);
    const joined = new JoinedSource(first);
    joined.add(scriptedSource("second", [giving(made), giving(made)]));
    const { found, sink } = gather();
    await joined.fetch(made.blob, ALL, DEMAND, sink);
    assert.deepEqual([...found.keys()].sort(), [0, 1, 2, 3]);
  });

  it("no longer asks a source that was removed", async () => {
    const first = scriptedSource("first", []);
    const joined = new JoinedSource(first);
    joined.add(scriptedSource("second", [giving(made)]));
    joined.remove(first);
    const { found, sink } = gather();
    await joined.fetch(made.blob, ALL, DEMAND, sink);
    assert.equal(found.size, 4);
  });

  it("fails with the more serious of two failures", async () => {
    const joined = new JoinedSource(scriptedSource("first", [failing("ERR_SOURCE_UNAVAILABLE", made)]));
    joined.add(scriptedSource("second", [failing("ERR_CHUNK_CORRUPT", made)]));
    await assert.rejects(
      joined.fetch(made.blob, ALL, DEMAND, () => undefined),
      { code: "ERR_CHUNK_CORRUPT" },
    );
  });
});
