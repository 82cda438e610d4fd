import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { parseChallenges } from "#src/registry/challenge.js";

const parsed = (header: string): unknown =>
  parseChallenges(header).map(({ scheme, parameters }) => [scheme, Object.fromEntries(parameters)]);

describe("parseChallenges()", () => {
  it("reads schemes with quoted and bare parameters", () => {
    assert.deepEqual(
      parsed(
        'Bearer realm="https://auth.example/token",service="a, \\"b\\"" , Scope=x, Basic realm="y", Negotiate',
      ),
      [
        ["bearer", { realm: "https://auth.example/token", service: 'a, "b"', scope: "x" }],
        ["basic", { realm: "y" }],
        ["negotiate", {}],
      ],
    );
  });

  it("keeps what came before a fault", () => {
    assert.deepEqual(parsed('Basic realm="open'), [["basic", {}]]);
    assert.deepEqual(parsed('=x, Basic realm="y"'), []);
    assert.deepEqual(parseChallenges(undefined), []);
  });

  it("ends on any text", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'aB =,"\\\t;é'), maxLength: 200 }), (text) => {
        assert.ok(parseChallenges(text).length <= text.length);
      }),
      { numRuns: 300 },
    );
  });
});
