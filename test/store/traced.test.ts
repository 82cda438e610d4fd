import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CodedError } from "#src/base/errors.js";
import type { BlobSource } from "#src/store/blob-source.js";
import type { ChunkedBlob, ChunkSource } from "#src/store/chunk-source.js";
import { tracedBlobs, tracedChunks } from "#src/store/traced.js";
import { watchTraces } from "../support/watched-traces.ts";

const { signal } = new AbortController();
const BLOB = {
  id: "ab",
  digests: Uint8Array.from([...new Uint8Array(32).fill(1), ...new Uint8Array(32)]),
} as ChunkedBlob;

describe("tracedChunks()", () => {
  it("passes chunks on, and tells of those without a digest", async () => {
    const source: ChunkSource = {
      name: "directory /srv",
      async fetch(_blob, { first, count }, _options, sink) {
        for (let index = first; index < first + count; index++) await sink(index, Uint8Array.of(index));
      },
    };
    const given: number[] = [];
    const options = { class: "prefetch", signal } as const;
    const fetch = () =>
      tracedChunks(source).fetch(BLOB, { first: 0, count: 2 }, options, (index, decoded) => {
        given.push(index, ...(decoded ?? []));
      });
    await fetch();
    using watched = watchTraces("fetch");
    await fetch();
    assert.deepEqual(given, [0, 0, 1, 1, 0, 0, 1, 1]);
    assert.deepEqual(
      watched.ended.map(({ result: _, ...trace }) => trace),
      [
        {
          source: "directory /srv",
          blobId: "ab",
          first: 0,
          count: 2,
          class: "prefetch",
          unverifiedChunks: 1,
        },
      ],
    );
  });
});

describe("tracedBlobs()", () => {
  it("passes bytes and failures on, and tells of both", async () => {
    const error = new CodedError("ERR_BLOB_NOT_FOUND", "none");
    const blobs: BlobSource = {
      name: "registry r.example/app",
      size: async () => 7,
      read: async (_, offset, length) => {
        if (offset > 0) throw error;
        return new Uint8Array(length);
      },
    };
    const traced = tracedBlobs(blobs);
    assert.equal(await traced.size("ab", { signal }), 7);
    using watched = watchTraces("request");
    assert.equal((await traced.read("ab", 0, 5, { signal })).length, 5);
    await assert.rejects(traced.read("ab", 5, 5, { signal }), error);
    const place = { source: "registry r.example/app", blobId: "ab", length: 5 };
    assert.deepEqual(watched.ended, [
      { ...place, offset: 0, result: new Uint8Array(5) },
      { ...place, offset: 5, error },
    ]);
  });
});
