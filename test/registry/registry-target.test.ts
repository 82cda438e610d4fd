import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { Readable } from "node:stream";
import { describe, it } from "node:test";
import { HttpClient } from "#src/net/http-client.js";
import { ANONYMOUS, givenCredentials } from "#src/registry/credentials.js";
import { RegistrySource } from "#src/registry/registry-source.js";
import { RegistryTarget } from "#src/registry/registry-target.js";
import { describeImagePlace } from "../conformance/image-place.ts";
import { madeBlob } from "../support/made-image.ts";
import { TestRegistry } from "../support/registry.ts";

describeImagePlace("a registry in memory", async () => {
  const registry = await TestRegistry.start();
  const http = new HttpClient();
  const dependencies = { http, credentials: ANONYMOUS };
  const repository = { registry: registry.host, repository: "some/app" };
  return {
    source: (name) => new RegistrySource(dependencies, { ...repository, ...name }),
    target: (tag) => new RegistryTarget(dependencies, { ...repository, tag }),
    readsByDigest: true,
    sharesBlobs: true,
    leftovers: async () => [],
    [Symbol.asyncDispose]: async () => {
      await http[Symbol.asyncDispose]();
      await registry[Symbol.asyncDispose]();
    },
  };
});

describe("RegistryTarget", () => {
  const signal = new AbortController().signal;
  const blob = madeBlob(randomBytes(500_000));

  it("begins a broken upload again from the first byte", async () => {
    await using registry = await TestRegistry.start();
    await using http = new HttpClient();
    const clock = { now: () => 0, sleep: async () => undefined };
    const reference = { registry: registry.host, repository: "app", tag: "v1" };
    await using target = new RegistryTarget({ http, credentials: ANONYMOUS, clock }, reference);
    registry.faults.failUploads = [500, 404];
    let opened = 0;
    const open = async function* (): AsyncGenerator<Uint8Array> {
      opened++;
      yield blob.bytes;
    };
    await target.writeBlob(blob.descriptor, open, { signal });
    assert.ok(registry.blobs.get(`app@${blob.descriptor.digest}`)?.equals(blob.bytes));
    assert.equal(opened, 3);
  });

  it("takes a blob from another repository without sending it", async () => {
    await using registry = await TestRegistry.start();
    await using http = new HttpClient();
    registry.blobs.set(`base@${blob.descriptor.digest}`, Buffer.from(blob.bytes));
    const reference = { registry: registry.host, repository: "app", tag: "v1" };
    await using target = new RegistryTarget({ http, credentials: ANONYMOUS }, reference);
    const never = (): AsyncIterable<Uint8Array> => {
      throw new Error("opened");
    };
    const mountFrom = { registry: registry.host, name: "base" };
    await target.writeBlob(blob.descriptor, never, { signal, mountFrom });
    assert.equal(await target.hasBlob(blob.descriptor, { signal }), true);
  });

  it("asks for a token that may push", async () => {
    await using registry = await TestRegistry.start();
    await using http = new HttpClient();
    registry.faults.require = "bearer";
    const reference = { registry: registry.host, repository: "app", tag: "v1" };
    const credentials = givenCredentials("someone", "secret");
    await using target = new RegistryTarget({ http, credentials }, reference);
    await target.writeBlob(blob.descriptor, () => Readable.from([blob.bytes]), { signal });
    assert.deepEqual(registry.scopes, ["repository:app:pull,push"]);
  });
});
