import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import type { BlobSource, RangeOptions } from "#src/store/blob-source.js";
import { type HedgeCounts, hedgedBlobs } from "#src/store/hedged-blobs.js";
import { DEMAND } from "../support/chunked-blob.ts";

const { signal } = DEMAND;
const ID = "a".repeat(64);

/** A place whose reads are answered by hand, a clock, and timers that run when they are told to. */
class Scene {
  readonly reads: {
    readonly options: RangeOptions;
    readonly answer: (text: string) => void;
    fail(): void;
  }[] = [];
  readonly timers: { readonly task: () => void; readonly delayMs: number }[] = [];
  readonly counts: HedgeCounts = { hedges: 0, wins: 0 };
  nowMs = 0;
  readonly blobs: BlobSource;

  constructor(isHedgeable = true, budget = 0.05) {
    const place: BlobSource = {
      name: "place",
      isHedgeable,
      size: async () => 0,
      read: (_id, _offset, _length, options) =>
        new Promise((resolve, reject) => {
          const answer = (text: string): void => resolve(Buffer.from(text));
          const fail = (): void => reject(new Error("refused"));
          options.signal.addEventListener("abort", fail);
          this.reads.push({ options, answer, fail });
        }),
    };
    const schedule = (task: () => void, delayMs: number): (() => void) => {
      const timer = { task, delayMs };
      this.timers.push(timer);
      return () => {
        if (this.timers.includes(timer)) this.timers.splice(this.timers.indexOf(timer), 1);
      };
    };
    this.blobs = hedgedBlobs(place, { now: () => this.nowMs, schedule, budget }, this.counts);
  }

  read(options: Partial<RangeOptions> = {}): Promise<Uint8Array> {
    return this.blobs.read(ID, 0, 4, { signal, ...options });
  }

  /** Lets reads be answered after 100 ms each. */
  async learn(count: number): Promise<void> {
    for (let at = 0; at < count; at++) {
      const reading = this.read();
      this.nowMs += 100;
      this.reads.at(-1)?.answer("seen");
      await reading;
    }
    this.reads.length = 0;
  }
}

describe("hedgedBlobs()", () => {
  it("asks again when an answer is later than usual, takes the first, and ends the other", async () => {
    const scene = new Scene();
    await scene.learn(40);
    const into = new Uint8Array(4);
    const reading = scene.read({ into });
    assert.equal(scene.timers[0]?.delayMs, 150);
    scene.timers[0].task();
    const [first, second] = scene.reads;
    assert.equal(first?.options.into, into);
    assert.equal(second?.options.into, undefined);
    second?.answer("late");
    assert.equal(Buffer.from(await reading).toString(), "late");
    assert.equal(first?.options.signal.aborted, true);
    assert.deepEqual(scene.counts, { hedges: 1, wins: 1 });
    assert.equal(scene.timers.length, 0);
  });

  it("takes the first answer when it comes first after all", async () => {
    const scene = new Scene();
    await scene.learn(40);
    const reading = scene.read();
    scene.timers[0]?.task();
    scene.reads[1]?.fail();
    await turn();
    scene.reads[0]?.answer("slow");
    assert.equal(Buffer.from(await reading).toString(), "slow");
    assert.deepEqual(scene.counts, { hedges: 1, wins: 0 });
  });

  it("makes no more second requests than its budget", async () => {
    const scene = new Scene(true, 0.05);
    await scene.learn(40);
    let hedges = 0;
    for (let at = 0; at < 100; at++) {
      const reading = scene.read();
      scene.timers.at(-1)?.task();
      hedges += scene.reads.length - 1;
      scene.reads[0]?.answer("done");
      await reading;
      scene.reads.length = 0;
    }
    assert.equal(hedges, scene.counts.hedges);
    assert.ok(hedges >= 5 && hedges <= 0.05 * 140, `${hedges}`);
  });

  it("asks once before it knows what is usual, for a prefetch, and where it would not help", async () => {
    const fresh = new Scene();
    await fresh.learn(10);
    fresh.read().catch(() => {});
    const prefetching = new Scene();
    await prefetching.learn(40);
    prefetching.read({ class: "prefetch" }).catch(() => {});
    const local = new Scene(false);
    await local.learn(40);
    local.read().catch(() => {});
    assert.deepEqual(
      [fresh, prefetching, local].map(({ timers }) => timers.length),
      [0, 0, 0],
    );
  });

  it("passes a failure on, and ends its requests when the caller leaves", async () => {
    const scene = new Scene();
    await scene.learn(40);
    const failing = scene.read();
    scene.reads[0]?.fail();
    await assert.rejects(failing, /refused/);
    const controller = new AbortController();
    const leaving = scene.read({ signal: controller.signal });
    controller.abort();
    await assert.rejects(leaving, /refused/);
    assert.equal(scene.timers.length, 0);
  });
});
