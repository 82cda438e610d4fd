import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { digestHex } from "#src/base/digest.js";
import type { ErrorCode } from "#src/base/errors.js";
import { HttpClient } from "#src/net/http-client.js";
import { ANONYMOUS, givenCredentials } from "#src/registry/credentials.js";
import { RegistrySource } from "#src/registry/registry-source.js";
import { collect } from "../conformance/image-place.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { type MadeBlob, madeImage } from "../support/made-image.ts";
import { TestRegistry } from "../support/registry.ts";
import type { Faults } from "../support/registry-faults.ts";

const signal = new AbortController().signal;
const image = madeImage([3_000_000], { os: "linux", architecture: "amd64" });
const layer = image.layers[0] as MadeBlob;
const id = digestHex(layer.descriptor.digest);

describe("a download from a registry that", () => {
  let registry: TestRegistry;
  let http: HttpClient;
  let clock: FakeClock;
  const open = (credentials = ANONYMOUS): RegistrySource =>
    new RegistrySource(
      { http, credentials, clock, random: () => 0.5 },
      { registry: registry.host, repository: "app", tag: "v1" },
      { retry: { attempts: 3, firstDelayMs: 10, maxDelayMs: 10, deadlineMs: 1000 } },
    );
  const readAll = async (source: RegistrySource): Promise<Buffer> =>
    collect(source.openBlob(layer.descriptor, { signal }));

  before(async () => {
    registry = await TestRegistry.start();
    registry.blobs.set(`app@${layer.descriptor.digest}`, Buffer.from(layer.bytes));
    const stored = {
      mediaType: image.manifest.descriptor.mediaType,
      bytes: Buffer.from(image.manifest.bytes),
    };
    registry.manifests.set("app@v1", stored);
  });
  after(() => registry[Symbol.asyncDispose]());
  beforeEach(() => {
    registry.reset();
    clock = new FakeClock();
    http = new HttpClient({ idleTimeoutMs: 400, rate: { minimumRate: 1e5, windowMs: 300 } });
  });
  afterEach(() => http[Symbol.asyncDispose]());

  const faults: readonly (readonly [string, Partial<Faults>, ErrorCode, ErrorCode])[] = [
    ["falls silent", { stallAfter: 10 }, "ERR_SOURCE_UNAVAILABLE", "ERR_SOURCE_UNAVAILABLE"],
    ["drips", { dripSize: 10 }, "ERR_SOURCE_UNAVAILABLE", "ERR_SOURCE_UNAVAILABLE"],
    ["breaks off", { dropAfter: 10, dropTimes: 1e9 }, "ERR_SOURCE_UNAVAILABLE", "ERR_SOURCE_UNAVAILABLE"],
    ["promises fewer bytes than it has", { lengthLie: -7 }, "ERR_DIGEST_MISMATCH", "ERR_BLOB_CORRUPT"],
    ["sends wrong bytes", { wrongBytes: true }, "ERR_DIGEST_MISMATCH", "ERR_BLOB_CORRUPT"],
  ];
  for (const [what, fault, code, codeOfRange] of faults) {
    it(`${what} fails with ${code}, and keeps nobody`, async () => {
      Object.assign(registry.faults, fault);
      await using source = open();
      await assert.rejects(readAll(source), { code });
      if (what === "sends wrong bytes") return;
      await assert.rejects(source.blobs.read(id, 100, 1_000_000, { signal }), { code: codeOfRange });
      assert.ok(registry.requests.length <= 8, `${registry.requests.length} requests`);
    });
  }

  it("promises more bytes than it has is asked for the rest, of which there is none", async () => {
    registry.faults.lengthLie = 7;
    await using source = open();
    assert.ok((await readAll(source)).equals(layer.bytes));
    await assert.rejects(source.blobs.read(id, 100, 1000, { signal }), { code: "ERR_SOURCE_UNAVAILABLE" });
  });

  it("answers with another range than it was asked for is not believed", async () => {
    registry.faults.rangeLie = 5;
    await using source = open();
    await assert.rejects(source.blobs.read(id, 100, 1000, { signal }), { code: "ERR_REGISTRY_PROTOCOL" });
    Object.assign(registry.faults, { dropAfter: 1_000_000, dropTimes: 1 });
    await assert.rejects(readAll(source), { code: "ERR_REGISTRY_PROTOCOL" });
  });

  it("refuses a range goes on from the first byte", async () => {
    Object.assign(registry.faults, { dropAfter: 1_500_000, dropTimes: 1, refuseRange: 416 });
    await using source = open();
    assert.ok((await readAll(source)).equals(layer.bytes));
  });

  it("takes back its tokens in the middle goes on with a new one", async () => {
    Object.assign(registry.faults, { require: "bearer", tokenUses: 1, dropAfter: 1_000_000, dropTimes: 2 });
    await using source = open(givenCredentials("someone", "secret"));
    assert.ok((await readAll(source)).equals(layer.bytes));
    assert.ok(registry.scopes.length >= 2, `${registry.scopes.length} tokens`);
  });

  it("has a busy token server is waited for as long as that asks", async () => {
    Object.assign(registry.faults, { require: "bearer", failTokens: [429], retryAfter: "7" });
    await using source = new RegistrySource(
      { http, credentials: givenCredentials("someone", "secret"), clock, random: () => 0 },
      { registry: registry.host, repository: "app", tag: "v1" },
    );
    await source.resolve({ signal });
    assert.deepEqual(clock.sleeps, [7000]);
  });

  it("breaks off in a manifest is asked again", async () => {
    registry.faults.dropManifests = 2;
    await using source = open();
    assert.equal((await source.resolve({ signal })).descriptor.digest, image.manifest.descriptor.digest);
  });
});
