import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ErrorCode } from "#src/base/errors.js";
import type { ChunkSource } from "#src/store/chunk-source.js";
import { DecodedSource } from "#src/store/decoded-source.js";
import { retry } from "#src/store/retry.js";
import { testChunkSource } from "../conformance/chunk-source.ts";
import { DEMAND, failing, gather, giving, makeBlob, scriptedSource } from "../support/chunked-blob.ts";

testChunkSource("retry()", (blobs) => retry(new DecodedSource(blobs)));

const made = makeBlob(10);
const { blob, chunks } = made;
const RUN = { first: 0, count: 10 };

function recorded(source: ChunkSource, attempts = 4): { source: ChunkSource; delays: number[] } {
  const delays: number[] = [];
  const sleep = async (delayMs: number): Promise<void> => {
    delays.push(delayMs);
  };
  return {
    source: retry(source, { attempts, delayMs: 100, maxDelayMs: 250, sleep, random: () => 0.5 }),
    delays,
  };
}

describe("retry()", () => {
  it("asks again only for what is missing, after growing, bounded waits", async () => {
    const runs: string[] = [];
    const down = failing("ERR_SOURCE_UNAVAILABLE", made, 2);
    const { source, delays } = recorded(
      scriptedSource("flaky", [
        ...[0, 1, 2].map((): ChunkSource["fetch"] => (...call) => {
          runs.push(`${call[1].first}+${call[1].count}`);
          return down(...call);
        }),
        giving(made),
      ]),
    );
    const { found, sink } = gather();
    await source.fetch(blob, RUN, DEMAND, sink);
    assert.deepEqual(runs, ["0+10", "2+8", "4+6"]);
    assert.deepEqual(delays, [75, 150, 187.5]);
    assert.deepEqual([...found.values()], chunks);
  });

  it("gives up after its attempts with the last failure", async () => {
    const { source, delays } = recorded(
      scriptedSource("down", [
        failing("ERR_SOURCE_UNAVAILABLE", made),
        failing("ERR_DEADLINE_EXCEEDED", made),
      ]),
      2,
    );
    await assert.rejects(
      source.fetch(blob, RUN, DEMAND, () => {}),
      { code: "ERR_DEADLINE_EXCEEDED" },
    );
    assert.equal(delays.length, 1);
  });

  for (const code of [
    "ERR_CHUNK_CORRUPT",
    "ERR_CHUNK_NOT_FOUND",
    "ERR_REGISTRY_DENIED",
  ] satisfies ErrorCode[]) {
    it(`does not ask again after ${code}`, async () => {
      const { source, delays } = recorded(scriptedSource("final", [failing(code, made)]));
      await assert.rejects(
        source.fetch(blob, RUN, DEMAND, () => {}),
        { code },
      );
      assert.deepEqual(delays, []);
    });
  }

  it("returns ERR_ABORTED when its caller leaves during a wait", async () => {
    const controller = new AbortController();
    const source = retry(scriptedSource("down", [failing("ERR_SOURCE_UNAVAILABLE", made)]), {
      delayMs: 60_000,
      maxDelayMs: 60_000,
    });
    const fetching = source.fetch(blob, RUN, { ...DEMAND, signal: controller.signal }, () => {});
    setImmediate(() => controller.abort());
    await assert.rejects(fetching, { code: "ERR_ABORTED" });
  });
});
