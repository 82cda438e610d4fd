import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { isCoded } from "#src/base/errors.js";
import { HttpClient } from "#src/net/http-client.js";
import { ANONYMOUS, givenCredentials } from "#src/registry/credentials.js";
import { RegistryTarget } from "#src/registry/registry-target.js";
import type { WriteOptions } from "#src/store/image-source.js";
import { FakeClock } from "../support/fake-clock.ts";
import { type MadeBlob, madeBlob } from "../support/made-image.ts";
import { TestRegistry } from "../support/registry.ts";

const signal = new AbortController().signal;
const blob = madeBlob(randomBytes(4_000_000));
const small = madeBlob(randomBytes(1000));
const SOMEONE = givenCredentials("someone", "secret");

describe("an upload", () => {
  let registry: TestRegistry;
  let http: HttpClient;
  let clock: FakeClock;
  let opened = 0;
  /** How long the registry takes for a piece. */
  let pieceMs = 0;

  before(async () => {
    registry = await TestRegistry.start();
  });
  after(() => registry[Symbol.asyncDispose]());
  beforeEach(() => {
    registry.reset();
    registry.blobs.clear();
    clock = new FakeClock();
    http = new HttpClient({ idleTimeoutMs: 500 });
    opened = 0;
    pieceMs = 0;
  });
  afterEach(() => http[Symbol.asyncDispose]());

  async function upload(
    { descriptor, bytes }: MadeBlob,
    options: Partial<WriteOptions> & { credentials?: typeof ANONYMOUS } = {},
  ): Promise<void> {
    const { credentials = ANONYMOUS, ...write } = options;
    const reference = { registry: registry.host, repository: "app", tag: "v1" };
    await using target = new RegistryTarget({ http, credentials, clock }, reference);
    const open = async function* (): AsyncGenerator<Uint8Array> {
      opened++;
      for (let offset = 0; offset < bytes.length; offset += 65_536) {
        yield bytes.subarray(offset, offset + 65_536);
        clock.time += pieceMs;
      }
    };
    await target.writeBlob(descriptor, open, { signal, ...write });
    assert.ok(registry.blobs.get(`app@${descriptor.digest}`)?.equals(bytes));
  }
  const sent = (): string[] =>
    registry.requests
      .filter(({ path }) => path.includes("/uploads/"))
      .map(({ method, contentRange }) => (contentRange === undefined ? method : `${method} ${contentRange}`));

  it("of a small blob is one request beside the one that begins it", async () => {
    await upload(small);
    assert.deepEqual(sent(), ["POST", "PUT"]);
  });

  it("is not begun for a blob that is there", async () => {
    registry.blobs.set(`app@${blob.descriptor.digest}`, Buffer.from(blob.bytes));
    await upload(blob);
    assert.deepEqual(sent(), []);
  });

  it("goes on at the byte where the connection was reset", async () => {
    registry.faults.resetUploads = [1_000_000, 2_000_000];
    await upload(blob);
    assert.deepEqual(sent(), [
      "POST",
      "PATCH 0-3999999",
      "GET",
      "PATCH 1000000-3999999",
      "GET",
      "PATCH 3000000-3999999",
      "PUT",
    ]);
    assert.equal(opened, 3);
  });

  it("goes on when the registry refuses a range, at the byte that it names", async () => {
    registry.faults.resetUploads = [1_000_000];
    registry.faults.uploadLies = [500];
    await upload(blob);
    assert.deepEqual(sent(), [
      "POST",
      "PATCH 0-3999999",
      "GET",
      "PATCH 1000500-3999999",
      "GET",
      "PATCH 1000000-3999999",
      "PUT",
    ]);
  });

  it("begins again where the registry has forgotten it, or does not say how much it has", async () => {
    for (const fault of [{ forgetUploads: true }, { uploadLies: [1e9] }, { uploadLies: [-999_999] }]) {
      registry.reset();
      registry.blobs.clear();
      Object.assign(registry.faults, fault, { resetUploads: [1_000_000] });
      await upload(blob);
      assert.deepEqual(sent(), ["POST", "PATCH 0-3999999", "GET", "POST", "PATCH 0-3999999", "PUT"]);
    }
  });

  it("is sent in one piece to a registry that knows no other", async () => {
    registry.faults.refusePatch = true;
    await upload(blob);
    assert.deepEqual(sent(), ["POST", "PATCH 0-3999999", "POST", "PUT"]);
  });

  it("is sent in pieces where it is too large in one", async () => {
    const large = madeBlob(randomBytes(70 * 2 ** 20));
    registry.faults.maxPatchSize = 32 * 2 ** 20;
    await upload(large);
    assert.deepEqual(sent(), [
      "POST",
      "PATCH 0-73400319",
      "POST",
      "PATCH 0-33554431",
      "PATCH 33554432-67108863",
      "PATCH 67108864-73400319",
      "PUT",
    ]);
    registry.faults.maxPatchSize = 1000;
    await assert.rejects(upload(blob), { code: "ERR_REGISTRY_PROTOCOL" });
  });

  it("that takes an hour goes on all the same", async () => {
    pieceMs = 60_000;
    registry.faults.resetUploads = [2_000_000];
    await upload(blob);
    assert.ok(clock.time > 3_600_000);
  });

  it("gives up on a registry that takes bytes and forgets them", async () => {
    registry.faults.uploadLies = Array<number>(100).fill(2_000_000);
    registry.faults.resetUploads = Array<number>(100).fill(1_000_000);
    await assert.rejects(upload(blob), { code: "ERR_SOURCE_UNAVAILABLE" });
    assert.ok(sent().length < 50, `${sent().length} requests`);
  });

  it("gives up on a registry that resets every one", async () => {
    registry.faults.resetUploads = Array<number>(100).fill(1000);
    await assert.rejects(upload(blob), { code: "ERR_SOURCE_UNAVAILABLE" });
    assert.ok(sent().length < 50, `${sent().length} requests`);
  });

  it("waits for a registry that takes its time to store what it got", async () => {
    registry.faults.commitDelayMs = 1200;
    await upload(blob);
    await upload(small);
    assert.deepEqual(clock.sleeps, []);
  });

  it("goes to another host without credentials", async () => {
    await using storage = await TestRegistry.start();
    Object.assign(registry.faults, { require: "bearer", uploadTo: storage.origin });
    await assert.rejects(upload(small, { credentials: SOMEONE }), assert.AssertionError);
    assert.ok(storage.blobs.get(`app@${small.descriptor.digest}`)?.equals(small.bytes));
    assert.deepEqual(
      storage.requests.map(({ method, headers }) => [method, headers.authorization]),
      [["PUT", undefined]],
    );
    assert.ok(registry.requests.some(({ method, authorization }) => method === "POST" && authorization));
  });

  it("goes on with a new token when the old one ends in the middle", async () => {
    Object.assign(registry.faults, { require: "bearer", tokenUses: 1, resetUploads: [1_500_000] });
    await upload(blob, { credentials: SOMEONE });
    assert.ok(registry.scopes.length >= 6, `${registry.scopes.length} tokens`);
    assert.ok(sent().includes("PATCH 1500000-3999999"), sent().join());
  });

  it("of bytes that are not what the descriptor says fails", async () => {
    const wrong = { descriptor: blob.descriptor, bytes: randomBytes(4_000_000) };
    await assert.rejects(upload(wrong), { code: "ERR_DIGEST_MISMATCH" });
    assert.equal(registry.blobs.size, 0);
  });

  describe("of a blob that lies in another repository", () => {
    const mountFrom = (): { registry: string; name: string } => ({ registry: registry.host, name: "base" });
    beforeEach(() => {
      registry.blobs.set(`base@${blob.descriptor.digest}`, Buffer.from(blob.bytes));
    });

    it("sends no bytes, with a token for both", async () => {
      registry.faults.require = "bearer";
      await upload(blob, { mountFrom: mountFrom(), credentials: SOMEONE });
      assert.equal(opened, 0);
      assert.deepEqual(registry.scopes, [
        "repository:app:pull,push",
        "repository:app:pull,push repository:base:pull",
      ]);
    });

    it("sends them where the registry does not have it there", async () => {
      await upload(small, { mountFrom: mountFrom() });
      assert.deepEqual(sent(), ["POST", "PUT"]);
    });

    it("sends them where the registry refuses", async () => {
      for (const status of [403, 405]) {
        registry.reset();
        registry.blobs.delete(`app@${blob.descriptor.digest}`);
        registry.faults.refuseMount = status;
        await upload(blob, { mountFrom: mountFrom() });
        assert.deepEqual(sent(), ["POST", "POST", "PATCH 0-3999999", "PUT"]);
      }
    });

    it("does not name it to another registry, nor the repository itself", async () => {
      for (const from of [
        { registry: "other.example", name: "base" },
        { registry: registry.host, name: "app" },
      ]) {
        registry.reset();
        registry.blobs.delete(`app@${blob.descriptor.digest}`);
        await upload(blob, { mountFrom: from });
        assert.ok(registry.requests.every(({ query }) => !query.includes("mount")));
      }
    });
  });

  it("that is refused says why, without a secret", async () => {
    registry.faults.failUploads = [413];
    await assert.rejects(upload(small), (error) => {
      assert.ok(isCoded(error, "ERR_REGISTRY_PROTOCOL"));
      assert.doesNotMatch(error.message, /s3cr3t/);
      return true;
    });
  });
});
