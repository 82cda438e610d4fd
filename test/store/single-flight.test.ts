import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import type { ChunkRun, FetchOptions } from "#src/store/chunk-source.js";
import { type FillChunks, SingleFlight } from "#src/store/single-flight.js";
import { DEMAND } from "../support/chunked-blob.ts";

const PREFETCH: FetchOptions = { ...DEMAND, class: "prefetch" };

/** Fills wait until `open` is called; every run and its options are remembered. */
class Gate {
  readonly runs: string[] = [];
  readonly options: FetchOptions[] = [];
  open = (): void => {};
  readonly #opened = new Promise<void>((resolve) => {
    this.open = resolve;
  });

  readonly fill: FillChunks = async (run, options, onReady) => {
    this.runs.push(nameOf(run));
    this.options.push(options);
    await this.#opened;
    for (let index = run.first; index < run.first + run.count; index++) onReady(index);
  };
}

function nameOf({ first, count }: ChunkRun): string {
  return `${first}+${count}`;
}

describe("SingleFlight", () => {
  it("asks once for a chunk that several want, and only for what nobody asked for yet", async () => {
    const gate = new Gate();
    const flights = new SingleFlight(gate.fill);
    const runs = [
      { first: 2, count: 3 },
      { first: 0, count: 8 },
      { first: 3, count: 1 },
    ];
    const fetches = runs.map((run) => flights.fetch(run, DEMAND));
    assert.ok(flights.isPending(7));
    gate.open();
    await Promise.all(fetches);
    assert.deepEqual(gate.runs, ["2+3", "0+2", "5+3"]);
    assert.ok(!flights.isPending(7));
  });

  it("asks again for a chunk that is no more on its way", async () => {
    const gate = new Gate();
    gate.open();
    const flights = new SingleFlight(gate.fill);
    await flights.fetch({ first: 0, count: 1 }, DEMAND);
    await flights.fetch({ first: 0, count: 1 }, DEMAND);
    assert.deepEqual(gate.runs, ["0+1", "0+1"]);
  });

  it("returns when its own chunks are ready, and still brings what was to come along", async () => {
    let tell = (_index: number): void => {};
    const flights = new SingleFlight((_run, _options, onReady) => {
      tell = onReady;
      return new Promise(() => {});
    });
    const fetching = flights.fetch({ first: 0, count: 1 }, DEMAND, { first: 0, count: 3 });
    await turn();
    tell(0);
    await fetching;
    assert.deepEqual(
      [0, 1, 2].map((index) => flights.isPending(index)),
      [false, true, true],
    );
    const second = flights.fetch({ first: 2, count: 1 }, DEMAND);
    tell(2);
    await second;
  });

  it("goes on for the second caller when the first one leaves", async () => {
    const gate = new Gate();
    const flights = new SingleFlight(gate.fill);
    const first = new AbortController();
    const left = flights.fetch({ first: 0, count: 2 }, { ...DEMAND, signal: first.signal });
    const stayed = flights.fetch({ first: 0, count: 2 }, DEMAND);
    first.abort();
    await assert.rejects(left, { code: "ERR_ABORTED" });
    assert.equal(gate.options[0]?.signal.aborted, false);
    gate.open();
    await stayed;
  });

  it("stops filling when the last caller leaves, and starts anew for the next", async () => {
    const gate = new Gate();
    const flights = new SingleFlight(gate.fill);
    const controllers = [new AbortController(), new AbortController()];
    const fetches = controllers.map(({ signal }) =>
      flights.fetch({ first: 0, count: 1 }, { ...DEMAND, signal }),
    );
    for (const controller of controllers) controller.abort();
    for (const fetching of fetches) await assert.rejects(fetching, { code: "ERR_ABORTED" });
    assert.equal(gate.options[0]?.signal.aborted, true);
    const next = flights.fetch({ first: 0, count: 1 }, DEMAND);
    gate.open();
    await next;
    assert.deepEqual(gate.runs, ["0+1", "0+1"]);
  });

  it("promotes a prefetch that a reader joins, and no other", async () => {
    const gate = new Gate();
    const flights = new SingleFlight(gate.fill);
    const fetches = [0, 4].map((first) => flights.fetch({ first, count: 2 }, PREFETCH));
    fetches.push(flights.fetch({ first: 0, count: 1 }, PREFETCH));
    await turn();
    assert.equal(gate.options[0]?.promoted?.aborted, false);
    fetches.push(flights.fetch({ first: 1, count: 1 }, DEMAND));
    assert.deepEqual(
      gate.options.map(({ promoted }) => promoted?.aborted),
      [true, false],
    );
    gate.open();
    await Promise.all(fetches);
    assert.deepEqual(gate.runs, ["0+2", "4+2"]);
  });

  it("passes a failure to everybody who waits", async () => {
    const flights = new SingleFlight(() => Promise.reject(new Error("broken")));
    const fetches = [0, 1].map(() => flights.fetch({ first: 0, count: 2 }, DEMAND));
    for (const fetching of fetches) await assert.rejects(fetching, /broken/);
  });

  it("fails when a chunk is left out", async () => {
    const flights = new SingleFlight(async (_run, _options, onReady) => onReady(0));
    await assert.rejects(flights.fetch({ first: 0, count: 2 }, DEMAND), /left out/);
  });
});
