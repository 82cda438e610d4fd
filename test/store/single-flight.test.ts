import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ChunkSource } from "#src/store/chunk-source.js";
import { DecodedSource } from "#src/store/decoded-source.js";
import { singleFlight } from "#src/store/single-flight.js";
import { testChunkSource } from "../conformance/chunk-source.ts";
import { DEMAND, gather, giving, makeBlob } from "../support/chunked-blob.ts";

testChunkSource("singleFlight()", (blobs) => singleFlight(new DecodedSource(blobs)));

const made = makeBlob(10);
const { blob } = made;

/** Fetches wait until `open` is called; every run and signal is remembered. */
function gatedSource(): ChunkSource & { runs: string[]; signals: AbortSignal[]; open(): void } {
  let open = (): void => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  const runs: string[] = [];
  const signals: AbortSignal[] = [];
  return {
    name: "gated",
    runs,
    signals,
    open: () => open(),
    async fetch(fetched, run, options, sink) {
      runs.push(`${run.first}+${run.count}`);
      signals.push(options.signal);
      await opened;
      await giving(made)(fetched, run, options, sink);
    },
  };
}

describe("singleFlight()", () => {
  it("asks once for a chunk that several want, and only for what nobody asked for yet", async () => {
    const source = gatedSource();
    const shared = singleFlight(source);
    const results = [gather(), gather(), gather()];
    const runs = [
      { first: 2, count: 3 },
      { first: 0, count: 8 },
      { first: 3, count: 1 },
    ];
    const fetches = runs.map((run, at) => shared.fetch(blob, run, DEMAND, results[at]?.sink ?? (() => {})));
    source.open();
    await Promise.all(fetches);
    assert.deepEqual(source.runs, ["2+3", "0+2", "5+3"]);
    assert.deepEqual(
      results.map(({ found }) => found.size),
      [3, 8, 1],
    );
  });

  it("asks again for a chunk that was already given", async () => {
    const source = gatedSource();
    source.open();
    const shared = singleFlight(source);
    await shared.fetch(blob, { first: 0, count: 1 }, DEMAND, () => {});
    await shared.fetch(blob, { first: 0, count: 1 }, DEMAND, () => {});
    assert.deepEqual(source.runs, ["0+1", "0+1"]);
  });

  it("goes on for the second caller when the first one leaves", async () => {
    const source = gatedSource();
    const shared = singleFlight(source);
    const first = new AbortController();
    const { found, sink } = gather();
    const left = shared.fetch(blob, { first: 0, count: 2 }, { ...DEMAND, signal: first.signal }, () => {});
    const stayed = shared.fetch(blob, { first: 0, count: 2 }, DEMAND, sink);
    first.abort();
    await assert.rejects(left, { code: "ERR_ABORTED" });
    assert.equal(source.signals[0]?.aborted, false);
    source.open();
    await stayed;
    assert.equal(found.size, 2);
  });

  it("stops its source when the last caller leaves, and starts anew for the next", async () => {
    const source = gatedSource();
    const shared = singleFlight(source);
    const controllers = [new AbortController(), new AbortController()];
    const fetches = controllers.map(({ signal }) =>
      shared.fetch(blob, { first: 0, count: 1 }, { ...DEMAND, signal }, () => {}),
    );
    for (const controller of controllers) controller.abort();
    for (const fetching of fetches) await assert.rejects(fetching, { code: "ERR_ABORTED" });
    assert.equal(source.signals[0]?.aborted, true);
    const next = shared.fetch(blob, { first: 0, count: 1 }, DEMAND, () => {});
    source.open();
    await next;
    assert.deepEqual(source.runs, ["0+1", "0+1"]);
  });

  it("passes a failure to everybody who waits", async () => {
    const shared = singleFlight({ name: "broken", fetch: () => Promise.reject(new TypeError("a bug")) });
    const fetches = [0, 1].map(() => shared.fetch(blob, { first: 0, count: 2 }, DEMAND, () => {}));
    for (const fetching of fetches) await assert.rejects(fetching, TypeError);
  });

  it("fails when its source leaves a chunk out", async () => {
    const shared = singleFlight({ name: "lazy", fetch: () => Promise.resolve() });
    await assert.rejects(
      shared.fetch(blob, { first: 0, count: 1 }, DEMAND, () => {}),
      /left out/,
    );
  });
});
