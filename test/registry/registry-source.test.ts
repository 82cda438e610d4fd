import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import { digestHex } from "#src/base/digest.js";
import { isCoded } from "#src/base/errors.js";
import { HttpClient } from "#src/net/http-client.js";
import { DEFAULT_RETRY } from "#src/net/retry.js";
import { ANONYMOUS, type CredentialSource, givenCredentials } from "#src/registry/credentials.js";
import { RegistrySource } from "#src/registry/registry-source.js";
import { RegistryTarget } from "#src/registry/registry-target.js";
import { collect, writeImage } from "../conformance/image-place.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { type MadeBlob, madeImage } from "../support/made-image.ts";
import { TestRegistry } from "../support/registry.ts";

const signal = new AbortController().signal;
const image = madeImage([3_000_000], { os: "linux", architecture: "amd64" });
const layer = image.layers[0] as MadeBlob;
const id = digestHex(layer.descriptor.digest);
const SOMEONE = givenCredentials("someone", "secret");

describe("RegistrySource", () => {
  const http = new HttpClient({ idleTimeoutMs: 2000 });
  let registry: TestRegistry;
  let other: TestRegistry;
  let clock = new FakeClock();

  const open = (credentials: CredentialSource = ANONYMOUS): RegistrySource =>
    new RegistrySource(
      { http, credentials, clock, random: () => 0.5 },
      { registry: registry.host, repository: "app", tag: "v1" },
    );

  before(async () => {
    registry = await TestRegistry.start();
    other = await TestRegistry.start();
    const reference = { registry: registry.host, repository: "app" };
    const target = (tag: string): RegistryTarget =>
      new RegistryTarget({ http, credentials: ANONYMOUS }, { ...reference, tag });
    await writeImage({ target }, "v1", image);
    other.blobs.set(`app@${layer.descriptor.digest}`, Buffer.from(layer.bytes));
  });
  after(async () => {
    await http[Symbol.asyncDispose]();
    await registry[Symbol.asyncDispose]();
    await other[Symbol.asyncDispose]();
  });
  beforeEach(() => {
    registry.reset();
    other.reset();
    clock = new FakeClock();
  });

  it("goes on with a download where the connection broke", async () => {
    Object.assign(registry.faults, { dropAfter: 1_000_000, dropTimes: 3 });
    await using source = open();
    const read = await collect(source.openBlob(layer.descriptor, { signal }));
    assert.ok(read.equals(layer.bytes));
    const ranges = registry.requests.filter(({ path }) => path.includes("/blobs/")).map(({ range }) => range);
    assert.deepEqual(
      [ranges[0], ranges.length > 1 && ranges.slice(1).every((range) => range !== undefined)],
      [undefined, true],
    );
    assert.ok((registry.bytesSent.get(layer.descriptor.digest) ?? 0) <= layer.descriptor.size + 4 * 65_536);
  });

  it("gives up on a server that breaks off for ever without progress", async () => {
    Object.assign(registry.faults, { dropAfter: 100, dropTimes: 1e9 });
    await using source = open();
    await assert.rejects(collect(source.openBlob(layer.descriptor, { signal })), {
      code: "ERR_SOURCE_UNAVAILABLE",
    });
    assert.equal(
      registry.requests.filter(({ path }) => path.includes("/blobs/")).length,
      DEFAULT_RETRY.attempts,
    );
  });

  it("goes on with a download when the server ignores ranges", async () => {
    Object.assign(registry.faults, { dropAfter: 1_000_000, dropTimes: 1, ignoreRange: true });
    await using source = open();
    assert.ok((await collect(source.openBlob(layer.descriptor, { signal }))).equals(layer.bytes));
  });

  it("reads a range from a server that ignores ranges", async () => {
    registry.faults.ignoreRange = true;
    await using source = open();
    const read = await source.blobs.read(id, 1_500_000, 1000, { signal });
    assert.ok(Buffer.from(read).equals(layer.bytes.subarray(1_500_000, 1_501_000)));
  });

  it("reads a range again when the connection broke in it", async () => {
    Object.assign(registry.faults, { dropAfter: 10, dropTimes: 2 });
    await using source = open();
    const read = await source.blobs.read(id, 5, 1000, { signal });
    assert.ok(Buffer.from(read).equals(layer.bytes.subarray(5, 1005)));
  });

  it("waits as long as a 429 asks, then goes on", async () => {
    Object.assign(registry.faults, { failNext: [429, 503, 500], retryAfter: "7" });
    await using source = open();
    assert.equal((await source.resolve({ signal })).descriptor.digest, image.manifest.descriptor.digest);
    assert.deepEqual(
      clock.sleeps.map((sleep) => sleep >= 7000 && sleep < 8000),
      [true, true, true],
    );
  });

  it("never waits longer than its policy, whatever the server asks", async () => {
    Object.assign(registry.faults, { failNext: [503], retryAfter: "999999" });
    await using source = open();
    await source.resolve({ signal });
    assert.deepEqual(clock.sleeps, [30_000]);
  });

  it("gives up after its attempts, with a retryable code", async () => {
    registry.faults.failNext = Array<number>(50).fill(503);
    await using source = open();
    await assert.rejects(source.resolve({ signal }), { code: "ERR_SOURCE_UNAVAILABLE" });
    assert.equal(registry.requests.filter(({ path }) => path !== "/v2/").length, DEFAULT_RETRY.attempts);
  });

  it("asks for a range and for a whole blob no more often than its policy says", async () => {
    for (const read of [
      (source: RegistrySource) => source.blobs.read(id, 5, 1000, { signal }),
      (source: RegistrySource) => collect(source.openBlob(layer.descriptor, { signal })),
    ]) {
      registry.faults.failNext = Array<number>(50).fill(503);
      registry.requests.length = 0;
      await using source = open();
      await assert.rejects(read(source), { code: "ERR_SOURCE_UNAVAILABLE" });
      assert.equal(registry.requests.filter(({ path }) => path !== "/v2/").length, DEFAULT_RETRY.attempts);
    }
  });

  it("refuses a blob with wrong bytes before its last piece", async () => {
    registry.faults.wrongBytes = true;
    await using source = open();
    let size = 0;
    const read = async (): Promise<void> => {
      for await (const piece of source.openBlob(layer.descriptor, { signal })) size += piece.length;
    };
    await assert.rejects(read(), { code: "ERR_DIGEST_MISMATCH" });
    assert.ok(size < layer.descriptor.size);
  });

  it("refuses a manifest whose claimed digest is another", async () => {
    registry.faults.claimDigest = `sha256:${"0".repeat(64)}`;
    await using source = open();
    await assert.rejects(source.resolve({ signal }), { code: "ERR_DIGEST_MISMATCH" });
  });

  it("follows a redirect without credentials, and remembers it until it fails", async () => {
    Object.assign(registry.faults, { redirectTo: other.origin, require: "bearer" });
    await using source = open(SOMEONE);
    for (const offset of [0, 10, 20]) await source.blobs.read(id, offset, 10, { signal });
    assert.equal(
      registry.requests.filter(({ path, authorization }) => path.includes("/blobs/") && authorization).length,
      1,
    );
    assert.deepEqual(
      other.requests.map(({ authorization, range }) => [authorization, range]),
      [
        [undefined, "bytes=0-9"],
        [undefined, "bytes=10-19"],
        [undefined, "bytes=20-29"],
      ],
    );
    other.faults.failNext = [403];
    await source.blobs.read(id, 30, 10, { signal });
    assert.equal(
      registry.requests.filter(({ path, authorization }) => path.includes("/blobs/") && authorization).length,
      2,
    );
  });

  it("asks the registry again when the place it was sent to is gone", async () => {
    await using source = open();
    {
      await using gone = await TestRegistry.start();
      gone.blobs.set(`app@${layer.descriptor.digest}`, Buffer.from(layer.bytes));
      registry.faults.redirectTo = gone.origin;
      await source.blobs.read(id, 0, 10, { signal });
    }
    registry.faults.redirectTo = other.origin;
    const read = await source.blobs.read(id, 0, 10, { signal });
    assert.ok(Buffer.from(read).equals(layer.bytes.subarray(0, 10)));
    assert.deepEqual(clock.sleeps, []);
  });

  it("shows neither password, token nor signature in an error", async () => {
    Object.assign(registry.faults, {
      redirectTo: other.origin,
      redirectQuery: "?expired",
      require: "bearer",
    });
    await using source = open(SOMEONE);
    await assert.rejects(source.blobs.read(id, 0, 10, { signal }), (error: unknown) => {
      assert.ok(isCoded(error, "ERR_REGISTRY_DENIED"));
      assert.doesNotMatch(
        `${error.message} ${error.stack} ${JSON.stringify(error)}`,
        /secret|token-|expired/,
      );
      return true;
    });
  });

  it("proves itself with Basic", async () => {
    registry.faults.require = "basic";
    await using source = open(SOMEONE);
    await source.resolve({ signal });
    await source.resolve({ signal });
    const statuses = registry.requests
      .filter(({ path }) => path.includes("manifests"))
      .map((seen) => !!seen.authorization);
    assert.deepEqual(statuses, [false, true, true]);
  });

  it("gets one bearer token for many requests at once, and a new one when it is refused", async () => {
    registry.faults.require = "bearer";
    await using source = open(SOMEONE);
    await Promise.all(Array.from({ length: 8 }, () => source.resolve({ signal })));
    assert.deepEqual(registry.scopes, ["repository:app:pull"]);
    registry.faults.revokeTokens = true;
    await Promise.all(Array.from({ length: 8 }, () => source.resolve({ signal })));
    assert.equal(registry.scopes.length, 2);
  });

  it("gets a new token before the old one ends", async () => {
    Object.assign(registry.faults, { require: "bearer", tokenLifetimeS: 100 });
    await using source = open(SOMEONE);
    await source.resolve({ signal });
    clock.time += 95_000;
    registry.requests.length = 0;
    await source.resolve({ signal });
    assert.equal(registry.scopes.length, 2);
  });

  it("exchanges an identity token by POST", async () => {
    registry.faults.require = "bearer";
    await using source = open({ find: async () => ({ kind: "identity-token", token: "secret" }) });
    await source.resolve({ signal });
    assert.ok(registry.requests.some(({ method, path }) => method === "POST" && path === "/token"));
  });

  it("is denied with a wrong password or none, without repeating", async () => {
    for (const require of ["basic", "bearer"] as const) {
      registry.faults.require = require;
      for (const credentials of [ANONYMOUS, givenCredentials("someone", "wrong")]) {
        await using source = open(credentials);
        registry.requests.length = 0;
        await assert.rejects(source.resolve({ signal }), { code: "ERR_REGISTRY_DENIED" });
        assert.ok(registry.requests.length <= 4, `${registry.requests.length} requests`);
      }
    }
  });

  it("does not speak plain http beyond loopback unless told", async () => {
    const reference = { registry: "registry.invalid", repository: "app", tag: "v1" };
    const seen: string[] = [];
    const spy = {
      send: async ({ url }: { url: URL }) => {
        seen.push(url.protocol);
        throw new Error("sent");
      },
    } as unknown as HttpClient;
    for (const options of [{}, { plainHttp: true }]) {
      await using source = new RegistrySource(
        { http: spy, credentials: ANONYMOUS, clock },
        reference,
        options,
      );
      await assert.rejects(source.resolve({ signal }));
    }
    assert.deepEqual(seen, ["https:", "http:"]);
  });

  it("ends a wait for a retry when its signal fires", async () => {
    registry.faults.failNext = [503];
    registry.faults.retryAfter = "30";
    const controller = new AbortController();
    await using source = new RegistrySource(
      { http, credentials: ANONYMOUS },
      { registry: registry.host, repository: "app", tag: "v1" },
    );
    const resolving = source.resolve({ signal: controller.signal });
    setTimeout(() => controller.abort(), 50);
    await assert.rejects(resolving, { code: "ERR_ABORTED" });
  });
});
