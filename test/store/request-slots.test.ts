import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { RequestSlots } from "#src/store/request-slots.js";
import { DEMAND } from "../support/chunked-blob.ts";

const { signal } = DEMAND;

/** Starts requests that go on until they are ended, and lists those under way by name. */
class Requests {
  readonly underWay = new Set<string>();
  readonly slots: RequestSlots;
  readonly #ends = new Map<string, () => void>();
  readonly #done = new Map<string, Promise<void>>();

  constructor(slots: RequestSlots) {
    this.slots = slots;
  }

  start(name: string, urgency: Parameters<RequestSlots["run"]>[0], isPausing = false): void {
    this.#done.set(name, this.#run(name, urgency, isPausing));
  }

  /** The end of a request. */
  done(name: string): Promise<void> {
    return this.#done.get(name) ?? Promise.reject(new Error(`no request ${name}`));
  }

  #run(name: string, urgency: Parameters<RequestSlots["run"]>[0], isPausing: boolean): Promise<void> {
    return this.slots.run(urgency, async (pause) => {
      this.underWay.add(name);
      await new Promise<void>((resolve) => this.#ends.set(name, resolve));
      this.underWay.delete(name);
      if (isPausing) await pause();
      this.underWay.add(`${name} after its pause`);
    });
  }

  async end(name: string): Promise<void> {
    this.#ends.get(name)?.();
    await turn();
  }

  async names(): Promise<string[]> {
    await turn();
    return [...this.underWay].filter((name) => !name.includes(" "));
  }
}

describe("RequestSlots", () => {
  it("lets as many demands go at once as it is wide, and the next when one ends, in their order", async () => {
    const requests = new Requests(new RequestSlots({ demand: 2 }));
    for (const name of ["a", "b", "c", "d"]) requests.start(name, DEMAND);
    assert.deepEqual(await requests.names(), ["a", "b"]);
    await requests.end("b");
    assert.deepEqual(await requests.names(), ["a", "c"]);
  });

  it("begins no prefetch while a reader waits or is served, and takes none of the readers' slots for it", async () => {
    const requests = new Requests(new RequestSlots({ demand: 1, prefetch: 1 }));
    const prefetch = { class: "prefetch", signal } as const;
    requests.start("p", prefetch);
    requests.start("a", DEMAND);
    requests.start("b", DEMAND);
    requests.start("q", prefetch);
    assert.deepEqual(await requests.names(), ["p", "a"]);
    await requests.end("p");
    await requests.end("a");
    assert.deepEqual(await requests.names(), ["b"]);
    await requests.end("b");
    assert.deepEqual(await requests.names(), ["q"]);
  });

  it("stops a prefetch between its steps while a reader is served", async () => {
    const requests = new Requests(new RequestSlots());
    requests.start("p", { class: "prefetch", signal }, true);
    await requests.names();
    requests.start("a", DEMAND);
    await requests.end("p");
    assert.ok(!requests.underWay.has("p after its pause"));
    await requests.end("a");
    await requests.done("p");
    assert.ok(requests.underWay.has("p after its pause"));
  });

  it("treats a prefetch that is promoted as what readers demand, whether it waits or pauses", async () => {
    const requests = new Requests(new RequestSlots({ demand: 2, prefetch: 1 }));
    const promotions = [new AbortController(), new AbortController()];
    const [pausing, waiting] = promotions.map(({ signal: promoted }) => {
      return { class: "prefetch", signal, promoted } as const;
    });
    assert.ok(pausing !== undefined && waiting !== undefined);
    requests.start("p", pausing, true);
    await requests.names();
    requests.start("a", DEMAND);
    requests.start("q", waiting);
    await requests.end("p");
    assert.deepEqual(await requests.names(), ["a"]);
    for (const promotion of promotions) promotion.abort();
    assert.deepEqual(await requests.names(), ["a", "q"]);
    assert.ok(requests.underWay.has("p after its pause"));
  });

  it("returns ERR_ABORTED for one that leaves the queue, and goes on with the others", async () => {
    const requests = new Requests(new RequestSlots({ demand: 1, prefetch: 1 }));
    requests.start("a", DEMAND);
    const controller = new AbortController();
    requests.start("b", { class: "demand", signal: controller.signal });
    requests.start("c", DEMAND);
    controller.abort();
    await assert.rejects(requests.done("b"), { code: "ERR_ABORTED" });
    await requests.end("a");
    assert.deepEqual(await requests.names(), ["c"]);
    requests.start("d", { class: "demand", signal: AbortSignal.abort() });
    await assert.rejects(requests.done("d"), { code: "ERR_ABORTED" });
  });

  it("gives the slot of a request that failed to the next", async () => {
    const slots = new RequestSlots({ demand: 1 });
    await assert.rejects(
      slots.run(DEMAND, () => Promise.reject(new Error("broken"))),
      /broken/,
    );
    assert.equal(await slots.run(DEMAND, async () => 7), 7);
  });
});
