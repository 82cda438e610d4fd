import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { DecodedSource } from "#src/store/decoded-source.js";
import { fallback } from "#src/store/fallback.js";
import { testChunkSource } from "../conformance/chunk-source.ts";
import {
  DEMAND,
  failing,
  gather,
  giving,
  makeBlob,
  memoryBlobs,
  scriptedSource,
} from "../support/chunked-blob.ts";

testChunkSource("fallback()", (blobs) => fallback([new DecodedSource(blobs), new DecodedSource(blobs)]));

const made = makeBlob(10);
const { blob, chunks } = made;
const RUN = { first: 0, count: 10 };

describe("fallback()", () => {
  it("reads from the registry when a peer serves bytes that do not match their digest", async () => {
    const peer = new DecodedSource(
      memoryBlobs(made, (bytes) => {
        bytes[5000] = (bytes[5000] as number) ^ 1;
        return bytes;
      }),
    );
    const { found, sink } = gather();
    await fallback([peer, new DecodedSource(memoryBlobs(made))]).fetch(blob, RUN, DEMAND, sink);
    assert.deepEqual(
      [...found.keys()].sort((left, right) => left - right),
      [...chunks.keys()],
    );
    for (const [index, bytes] of found) assert.deepEqual(bytes, chunks[index]);
  });

  for (const code of ["ERR_CHUNK_NOT_FOUND", "ERR_SOURCE_UNAVAILABLE", "ERR_CHUNK_CORRUPT"] as const) {
    it(`asks the next source for the rest after ${code}`, async () => {
      const asked: string[] = [];
      const source = fallback([
        scriptedSource("first", [failing(code, made, 4)]),
        scriptedSource("second", [
          (...call) => {
            asked.push(`${call[1].first}+${call[1].count}`);
            return giving(made)(...call);
          },
        ]),
      ]);
      const { found, sink } = gather();
      await source.fetch(blob, RUN, DEMAND, sink);
      assert.deepEqual([asked, found.size], [["4+6"], 10]);
    });
  }

  it("throws the most serious failure when nobody has the chunks", async () => {
    const all = ["ERR_CHUNK_NOT_FOUND", "ERR_CHUNK_CORRUPT", "ERR_SOURCE_UNAVAILABLE"] as const;
    const sources = (codes: readonly (typeof all)[number][]) =>
      fallback(codes.map((code) => scriptedSource(code, [failing(code, made)])));
    await assert.rejects(
      sources(all).fetch(blob, RUN, DEMAND, () => {}),
      { code: "ERR_CHUNK_CORRUPT" },
    );
    const two = sources(["ERR_SOURCE_UNAVAILABLE", "ERR_CHUNK_NOT_FOUND"]);
    await assert.rejects(
      two.fetch(blob, RUN, DEMAND, () => {}),
      { code: "ERR_SOURCE_UNAVAILABLE" },
    );
  });

  it("stops at any other failure", async () => {
    const source = fallback([
      scriptedSource("denied", [failing("ERR_REGISTRY_DENIED", made)]),
      scriptedSource("never asked", []),
    ]);
    await assert.rejects(
      source.fetch(blob, RUN, DEMAND, () => {}),
      { code: "ERR_REGISTRY_DENIED" },
    );
  });
});
