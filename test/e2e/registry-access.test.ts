import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { HttpClient } from "#src/net/http-client.js";
import { ANONYMOUS, type CredentialSource, givenCredentials } from "#src/registry/credentials.js";
import { RegistrySource } from "#src/registry/registry-source.js";
import { RegistryTarget } from "#src/registry/registry-target.js";
import { collect, writeImage } from "../conformance/image-place.ts";
import { makeCertificates, NO_OPENSSL, type TestCertificates } from "../support/certificates.ts";
import { CuttingProxy } from "../support/cutting-proxy.ts";
import { DockerRegistry, NO_DOCKER_REGISTRY } from "../support/docker-registry.ts";
import { type MadeBlob, madeBlob, madeImage } from "../support/made-image.ts";
import { TokenServer } from "../support/token-server.ts";

const signal = new AbortController().signal;
const skip = NO_DOCKER_REGISTRY || NO_OPENSSL;
const SOMEONE = givenCredentials("someone", "secret");
const image = madeImage([3_000_000], { os: "linux", architecture: "amd64" });
const layer = image.layers[0] as MadeBlob;
/** bcrypt of `secret`. */
const HTPASSWD = "someone:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n";

describe("docker-registry", { skip }, () => {
  const directory = mkdtempSync(join(tmpdir(), "access-"));
  let made: TestCertificates;
  before(() => {
    if (skip === false) made = makeCertificates(directory);
  });
  after(() => rmSync(directory, { recursive: true }));

  const client = (): HttpClient =>
    new HttpClient({ certificates: { trusted: [made.authority.certificate] } });
  async function roundTrip(http: HttpClient, registry: string, credentials: CredentialSource): Promise<void> {
    const reference = { registry, repository: "some/app", tag: "v1" };
    const dependencies = { http, credentials };
    const target = (tag: string): RegistryTarget => new RegistryTarget(dependencies, { ...reference, tag });
    await writeImage({ target }, "v1", image);
    await using source = new RegistrySource(dependencies, reference);
    assert.equal((await source.resolve({ signal })).descriptor.digest, image.manifest.descriptor.digest);
    assert.ok((await collect(source.openBlob(layer.descriptor, { signal }))).equals(layer.bytes));
  }

  it("with TLS and htpasswd takes and gives an image", async () => {
    const path = join(directory, "htpasswd");
    writeFileSync(path, HTPASSWD);
    const auth = { htpasswd: { realm: "test", path } };
    await using registry = await DockerRegistry.start({ tls: made.server, auth });
    await using http = client();
    await roundTrip(http, registry.host, SOMEONE);
    const wrong = roundTrip(http, registry.host, givenCredentials("someone", "wrong"));
    await assert.rejects(wrong, { code: "ERR_REGISTRY_DENIED" });
    await using strict = new HttpClient();
    await assert.rejects(
      new RegistrySource(
        { http: strict, credentials: SOMEONE },
        { registry: registry.host, repository: "some/app", tag: "v1" },
        { retry: { attempts: 1, firstDelayMs: 1, maxDelayMs: 1, deadlineMs: 1 } },
      ).resolve({ signal }),
      { code: "ERR_SOURCE_UNAVAILABLE" },
    );
  });

  it("with tokens takes and gives an image, and mounts a layer of another repository", async () => {
    await using tokens = await TokenServer.start(made.authority);
    await using registry = await DockerRegistry.start({ auth: tokens.auth(made.authority) });
    await using http = client();
    await roundTrip(http, registry.host, SOMEONE);
    await assert.rejects(roundTrip(http, registry.host, ANONYMOUS), { code: "ERR_REGISTRY_DENIED" });
    const reference = { registry: registry.host, repository: "other", tag: "v1" };
    await using target = new RegistryTarget({ http, credentials: SOMEONE }, reference);
    const never = (): AsyncIterable<Uint8Array> => {
      throw new Error("opened");
    };
    const mountFrom = { registry: registry.host, name: "some/app" };
    await target.writeBlob(layer.descriptor, never, { signal, mountFrom });
    assert.equal(await target.hasBlob(layer.descriptor, { signal }), true);
    assert.deepEqual(tokens.scopes.at(-1), ["repository:other:pull,push", "repository:some/app:pull"]);
  });

  // distribution 2.8 does not say how much it has of an upload that broke off: it answers 404.
  it("gets a blob anew after a reset in the middle", async () => {
    await using registry = await DockerRegistry.start();
    await using proxy = await CuttingProxy.start(registry.host);
    await using http = client();
    const blob = madeBlob(randomBytes(24 * 2 ** 20));
    const reference = { registry: proxy.host, repository: "app", tag: "v1" };
    await using target = new RegistryTarget({ http, credentials: ANONYMOUS }, reference);
    proxy.cuts.push(8 * 2 ** 20, 4 * 2 ** 20);
    const open = async function* (): AsyncGenerator<Uint8Array> {
      for (let offset = 0; offset < blob.bytes.length; offset += 2 ** 20) {
        yield blob.bytes.subarray(offset, offset + 2 ** 20);
      }
    };
    await target.writeBlob(blob.descriptor, open, { signal });
    assert.equal(proxy.cutCount, 2);
    await using source = new RegistrySource({ http, credentials: ANONYMOUS }, reference);
    assert.ok((await collect(source.openBlob(blob.descriptor, { signal }))).equals(blob.bytes));
  });
});
