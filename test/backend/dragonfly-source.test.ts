import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import { DragonflySource } from "#src/backend/dragonfly-source.js";
import { HttpClient } from "#src/net/http-client.js";
import { DecodedSource } from "#src/store/decoded-source.js";
import { DEMAND, gather, makeBlob } from "../support/chunked-blob.ts";
import { Dfdaemon } from "../support/dfdaemon.ts";
import { FakeClock } from "../support/fake-clock.ts";

const made = makeBlob(20);
const { id } = made.blob;
const UPSTREAM = "https://registry.example";
const PREFETCH = { ...DEMAND, class: "prefetch" } as const;
const http = new HttpClient();
let daemon: Dfdaemon;

before(async () => {
  daemon = await Dfdaemon.start();
  daemon.blobs.set(id, made.stored);
});

afterEach(() => {
  daemon.seen.length = 0;
  daemon.refusals.length = 0;
});

after(async () => {
  await http[Symbol.asyncDispose]();
  await daemon[Symbol.asyncDispose]();
});

function open(clock = new FakeClock(), address = daemon.address): DragonflySource {
  const get: ConstructorParameters<typeof DragonflySource>[0]["get"] = (blobId, headers, signal) =>
    http.send({ method: "GET", url: new URL(`/v2/app/blobs/sha256:${blobId}`, address), headers, signal });
  return new DragonflySource({ get }, UPSTREAM, clock);
}

function refuse(status: number, headers: Record<string, string> = {}): void {
  daemon.refusals.push({ status, headers });
}

describe("DragonflySource", () => {
  it("serves ranges and sizes, and feeds a chunk source", async () => {
    const source = open();
    assert.equal(await source.size(id, DEMAND), made.stored.length);
    const range = await source.read(id, 10, 100, DEMAND);
    assert.deepEqual(Buffer.from(range), Buffer.from(made.stored.subarray(10, 110)));
    const { found, sink } = gather();
    await new DecodedSource(source).fetch(made.blob, { first: 0, count: 20 }, DEMAND, sink);
    assert.equal(found.size, 20);
  });

  it("asks for peers, names the registry, and puts readers before prefetches", async () => {
    await open().read(id, 0, 4, DEMAND);
    await open().read(id, 0, 4, PREFETCH);
    const of = (name: string): unknown[] => daemon.seen.map((headers) => headers[name]);
    assert.deepEqual(of("x-dragonfly-use-p2p"), ["true", "true"]);
    assert.deepEqual(of("x-dragonfly-registry"), [UPSTREAM, UPSTREAM]);
    assert.deepEqual(of("x-dragonfly-priority"), ["6", "3"]);
  });

  it("leaves a dfdaemon that fails alone for a while, longer each time, and no other", async () => {
    const clock = new FakeClock();
    const source = open(clock);
    const read = (): Promise<Uint8Array> => source.read(id, 0, 4, DEMAND);
    refuse(500, { "x-dragonfly-error-type": "backend" });
    await assert.rejects(read(), { code: "ERR_SOURCE_UNAVAILABLE" });
    refuse(502, { "x-dragonfly-error-type": "dfdaemon" });
    await assert.rejects(read(), { code: "ERR_SOURCE_UNAVAILABLE" });
    await assert.rejects(read(), { code: "ERR_SOURCE_UNAVAILABLE" });
    assert.equal(daemon.seen.length, 2);
    clock.time += 501;
    refuse(502, { "x-dragonfly-error-type": "proxy" });
    await assert.rejects(read(), { code: "ERR_SOURCE_UNAVAILABLE" });
    clock.time += 501;
    await assert.rejects(read(), { code: "ERR_SOURCE_UNAVAILABLE" });
    assert.equal(daemon.seen.length, 3);
    clock.time += 500;
    assert.equal((await read()).length, 4);
  });

  it("backs off from 429 as long as it is told: readers go elsewhere, prefetches wait", async () => {
    const clock = new FakeClock();
    const source = open(clock);
    refuse(429, { "retry-after": "7" });
    await assert.rejects(source.read(id, 0, 4, DEMAND), { code: "ERR_SOURCE_UNAVAILABLE" });
    await assert.rejects(source.read(id, 0, 4, DEMAND), { code: "ERR_SOURCE_UNAVAILABLE" });
    assert.equal((await source.read(id, 0, 4, PREFETCH)).length, 4);
    assert.deepEqual(clock.sleeps, [7000]);
  });

  it("takes 403 and 401 as final, and tells missing from cut off", async () => {
    const source = open();
    for (const status of [401, 403]) {
      refuse(status);
      await assert.rejects(source.read(id, 0, 4, DEMAND), { code: "ERR_REGISTRY_DENIED" });
    }
    for (const name of ["0".repeat(64), "../secret", ""]) {
      await assert.rejects(source.read(name, 0, 4, DEMAND), { code: "ERR_BLOB_NOT_FOUND" });
    }
    const end = made.stored.length;
    for (const offset of [end - 2, end + 2]) {
      await assert.rejects(source.read(id, offset, 4, DEMAND), { code: "ERR_BLOB_CORRUPT" });
    }
    refuse(200);
    await assert.rejects(source.read(id, 0, 4, DEMAND), { code: "ERR_REGISTRY_PROTOCOL" });
  });

  it("leaves one that does not answer alone", async () => {
    const source = open(new FakeClock(), new URL("http://127.0.0.1:9"));
    await assert.rejects(source.read(id, 0, 4, DEMAND), { code: "ERR_SOURCE_UNAVAILABLE" });
    await assert.rejects(source.read(id, 0, 4, DEMAND), /for a while/);
  });
});
