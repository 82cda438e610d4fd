import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { runTarget } from "../fuzz/run-target.ts";
import { TARGETS } from "../fuzz/targets.ts";

/** A minute for all of them; `scripts/fuzz` takes longer. */
const TOTAL_MS = 60_000;
const SEED = Number(process.env["FUZZ_SEED"] ?? Date.now() % 2 ** 31);

describe("a decoder that is given inputs which are nearly right", () => {
  for (const { name } of TARGETS) {
    it(`refuses or reads all of them: ${name}`, { timeout: 120_000 }, async (t) => {
      const { inputs, accepted, findings } = await runTarget(name, {
        module: new URL("../fuzz/targets.js", import.meta.url).href,
        seed: SEED,
        milliseconds: TOTAL_MS / TARGETS.length,
      });
      t.diagnostic(`seed ${SEED}: ${inputs} inputs, ${accepted} accepted`);
      assert.deepEqual(findings, [], `seed ${SEED}`);
      assert.ok(accepted > 0, "not even a valid one was accepted");
    });
  }
});

describe("the fuzz loop", () => {
  const planted = (name: string, hangMs?: number) =>
    runTarget(name, {
      module: new URL("../fuzz/planted-targets.js", import.meta.url).href,
      seed: 7,
      milliseconds: 3000,
      maxFindings: 1,
      ...(hangMs !== undefined && { hangMs }),
    });

  it("finds nothing in a decoder that refuses with coded errors", async () => {
    const { inputs, accepted, findings } = await planted("sound");
    assert.deepEqual(findings, []);
    assert.ok(accepted > 0 && inputs > accepted);
  });

  for (const [name, expected, hangMs] of [
    ["throws", /TypeError: planted/],
    ["hangs", /hangs/, 1000],
    ["never-answers", /ended its thread/],
    ["is-slow", /CPU time/],
    ["takes-memory", /larger/],
  ] as const) {
    it(`finds a decoder that ${name}, and the same input again`, async () => {
      const { findings } = await planted(name, hangMs);
      assert.equal(findings.length, 1);
      assert.match(findings[0]?.message ?? "", expected);
      const again = await planted(name, hangMs);
      assert.equal(again.findings[0]?.index, findings[0]?.index);
    });
  }
});
