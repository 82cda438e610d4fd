import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, describe, it } from "node:test";
import type { TLSSocket } from "node:tls";
import { digestHex } from "#src/base/digest.js";
import { HttpClient } from "#src/net/http-client.js";
import { readClientCertificate } from "#src/registry/certificate-files.js";
import { ConfiguredEndpoints, type EndpointConfiguration } from "#src/registry/configured-endpoints.js";
import { ANONYMOUS, type CredentialSource } from "#src/registry/credentials.js";
import { RegistrySource } from "#src/registry/registry-source.js";
import { RegistryTarget } from "#src/registry/registry-target.js";
import { makeCertificates, NO_OPENSSL, type TestCertificates } from "../support/certificates.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { type MadeBlob, madeImage } from "../support/made-image.ts";
import { TestRegistry } from "../support/registry.ts";

const signal = new AbortController().signal;
const image = madeImage([2_000_000], { os: "linux", architecture: "amd64" });
const layer = image.layers[0] as MadeBlob;
const id = digestHex(layer.descriptor.digest);

function fill(registry: TestRegistry): void {
  registry.blobs.set(`app@${layer.descriptor.digest}`, Buffer.from(layer.bytes));
  const { mediaType } = image.manifest.descriptor;
  registry.manifests.set("app@v1", { mediaType, bytes: Buffer.from(image.manifest.bytes) });
}

describe("a registry with mirrors", () => {
  const directory = mkdtempSync(join(tmpdir(), "hosts-"));
  const http = new HttpClient({ connectTimeoutMs: 1000 });
  let first: TestRegistry;
  let second: TestRegistry;
  let registry: TestRegistry;
  let clock: FakeClock;

  before(async () => {
    [first, second, registry] = await Promise.all([
      TestRegistry.start(),
      TestRegistry.start(),
      TestRegistry.start(),
    ]);
  });
  after(async () => {
    await http[Symbol.asyncDispose]();
    for (const each of [first, second, registry]) await each[Symbol.asyncDispose]();
    rmSync(directory, { recursive: true });
  });
  beforeEach(() => {
    clock = new FakeClock();
    for (const each of [first, second, registry]) {
      each.reset();
      each.blobs.clear();
      each.manifests.clear();
      fill(each);
    }
  });

  /** Writes the file for a registry, in a folder of the given name. */
  function configure(text: string, folder = registry.host.replace(/:(\d+)$/, "_$1_")): string {
    const root = mkdtempSync(join(directory, "case-"));
    mkdirSync(join(root, folder));
    writeFileSync(join(root, folder, "hosts.toml"), text);
    return root;
  }
  const both = (): string =>
    `server = "${registry.origin}"
[host."${first.origin}"]
  capabilities = ["pull", "resolve"]
[host."${second.origin}"]
  capabilities = ["pull"]
`;
  function dependencies(hostsFolder: string, credentials: CredentialSource = ANONYMOUS) {
    const endpoints = new ConfiguredEndpoints({ hostsFolder });
    return { http, credentials, endpoints, clock, random: () => 0.5 };
  }
  const reference = (): { registry: string; repository: string; tag: string } => ({
    registry: registry.host,
    repository: "app",
    tag: "v1",
  });
  const open = (hostsFolder: string, credentials?: CredentialSource): RegistrySource =>
    new RegistrySource(dependencies(hostsFolder, credentials), reference(), {
      retry: { attempts: 2, firstDelayMs: 10, maxDelayMs: 10, deadlineMs: 1000 },
    });
  const requests = (each: TestRegistry): string[] =>
    each.requests.map(({ method, path, query }) => `${method} ${path}${query}`);

  it("asks the first that may, and tells it for whom", async () => {
    await using source = open(configure(both()));
    await source.resolve({ signal });
    await source.blobs.read(id, 0, 10, { signal });
    const namespace = `?ns=${encodeURIComponent(registry.host)}`;
    assert.deepEqual(requests(first), [
      `GET /v2/app/manifests/v1${namespace}`,
      `GET /v2/app/blobs/${layer.descriptor.digest}${namespace}`,
    ]);
    assert.deepEqual([requests(second), requests(registry)], [[], []]);
  });

  it("asks the next when one has nothing, refuses or is away, and at last the registry", async () => {
    first.manifests.clear();
    first.blobs.clear();
    second.faults.failNext = [403];
    await using source = open(configure(both()));
    await source.resolve({ signal });
    assert.deepEqual(requests(second), [], "it may not resolve");
    await source.blobs.read(id, 0, 10, { signal });
    assert.equal(second.requests.length, 1);
    assert.deepEqual(requests(registry), [
      "GET /v2/app/manifests/v1",
      `GET /v2/app/blobs/${layer.descriptor.digest}`,
    ]);
    assert.deepEqual(clock.sleeps, []);
  });

  it("passes over a mirror that is away for a while, and asks it again later", async () => {
    first.faults.failNext = [503];
    await using source = open(configure(both()));
    for (const offset of [0, 1, 2]) await source.blobs.read(id, offset, 10, { signal });
    assert.deepEqual([first.requests.length, second.requests.length], [1, 3]);
    clock.time += 30_000;
    await source.blobs.read(id, 3, 10, { signal });
    assert.equal(first.requests.length, 2);
  });

  it("says what the registry says when no mirror helps", async () => {
    for (const each of [first, second, registry]) each.blobs.clear();
    await using source = open(configure(both()));
    await assert.rejects(source.blobs.read(id, 0, 10, { signal }), { code: "ERR_BLOB_NOT_FOUND" });
    for (const each of [first, second, registry]) each.faults.failNext = Array<number>(9).fill(503);
    await assert.rejects(source.resolve({ signal }), { code: "ERR_SOURCE_UNAVAILABLE" });
  });

  it("writes to the first that takes what is stored, and to no other", async () => {
    await using target = new RegistryTarget(dependencies(configure(both())), reference());
    registry.blobs.clear();
    const open = async function* (): AsyncGenerator<Uint8Array> {
      yield layer.bytes;
    };
    await target.writeBlob(layer.descriptor, open, { signal });
    assert.ok(registry.blobs.has(`app@${layer.descriptor.digest}`));
    assert.deepEqual([requests(first), requests(second)], [[], []]);
  });

  it("shows each server the credentials for it alone", async () => {
    const asked: string[] = [];
    const credentials: CredentialSource = {
      find: async (name) => {
        asked.push(name);
        return {
          kind: "password",
          username: "someone",
          password: name === registry.host ? "secret" : "other",
        };
      },
    };
    first.faults.require = "basic";
    registry.faults.require = "basic";
    await using source = open(configure(both()), credentials);
    await source.resolve({ signal });
    const shown = [first, registry].map((each) => each.requests.at(-1)?.authorization);
    const basic = (password: string): string =>
      `Basic ${Buffer.from(`someone:${password}`).toString("base64")}`;
    assert.deepEqual(shown, [basic("other"), basic("secret")]);
    assert.deepEqual(asked, [first.host, registry.host]);
  });

  it("sends the headers of a server to that server only", async () => {
    const text = `[host."${first.origin}"]\n[host."${first.origin}".header]\nx-key = "k3y"\n`;
    first.faults.redirectTo = second.origin;
    await using source = open(configure(text));
    await source.blobs.read(id, 0, 10, { signal });
    assert.equal(first.requests.at(-1)?.headers["x-key"], "k3y");
    assert.equal(second.requests.at(-1)?.headers["x-key"], undefined);
  });

  it("takes the whole path of a server that says so", async () => {
    const text = `server = "${registry.origin}"\n[host."${first.origin}/mirror/v9"]\noverride_path = true\n`;
    await using source = open(configure(text));
    await source.resolve({ signal });
    assert.deepEqual(requests(first)[0]?.split("?")[0], "GET /mirror/v9/app/manifests/v1");
  });

  it("finds its folder by host and port, or _default", async () => {
    for (const folder of [registry.host, "_default", registry.host.replace(/:(\d+)$/, "_$1_")]) {
      first.requests.length = 0;
      await using source = open(configure(both(), folder));
      await source.resolve({ signal });
      assert.equal(first.requests.length, 1, folder);
    }
    first.requests.length = 0;
    await using source = open(configure(both(), "other.test"));
    await source.resolve({ signal });
    assert.equal(first.requests.length, 0);
  });
});

describe("certificates for a registry", { skip: NO_OPENSSL }, () => {
  const directory = mkdtempSync(join(tmpdir(), "certs-"));
  let made: TestCertificates;
  let server: Server;
  let host: string;
  /** Names that clients proved, one for each request. */
  const clients: (string | undefined)[] = [];

  before(async () => {
    if (NO_OPENSSL !== false) return;
    made = makeCertificates(directory);
    const options = {
      key: made.server.key,
      cert: made.server.certificate,
      ca: made.authority.certificate,
      requestCert: true,
      rejectUnauthorized: false,
    };
    server = createServer(options, (request, response) => {
      const socket = request.socket as TLSSocket;
      clients.push(socket.getPeerCertificate().subject?.CN?.toString());
      // The same server under another name stands for the storage that a registry redirects to.
      if (request.url?.includes("/blobs/") && request.headers.host === host) {
        response
          .writeHead(307, { location: `https://${host.replace("127.0.0.1", "localhost")}/stored` })
          .end();
        return;
      }
      response.writeHead(200, { "content-type": image.manifest.descriptor.mediaType });
      response.end(image.manifest.bytes);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  after(() => {
    server?.closeAllConnections();
    server?.close();
    rmSync(directory, { recursive: true });
  });
  beforeEach(() => {
    clients.length = 0;
  });

  async function resolve(configuration: EndpointConfiguration): Promise<void> {
    await using http = new HttpClient();
    const endpoints = new ConfiguredEndpoints(configuration);
    const retry = { attempts: 1, firstDelayMs: 1, maxDelayMs: 1, deadlineMs: 1 };
    const reference = { registry: host, repository: "app", tag: "v1" };
    await using source = new RegistrySource({ http, credentials: ANONYMOUS, endpoints }, reference, {
      retry,
    });
    await source.resolve({ signal });
  }
  function folder(files: Readonly<Record<string, string>>, name = host): string {
    const root = mkdtempSync(join(directory, "certs.d-"));
    mkdirSync(join(root, name));
    for (const [file, text] of Object.entries(files)) writeFileSync(join(root, name, file), text);
    return root;
  }

  it("are found in docker's folder of its name", async () => {
    const files = {
      "ca.crt": made.authority.certificate,
      "client.cert": made.client.certificate,
      "client.key": made.client.key,
    };
    await resolve({ certificateFolders: ["/nonexistent", folder(files)] });
    assert.equal(clients.at(-1), "client");
    await assert.rejects(resolve({ certificateFolders: [folder(files, "other.test")] }), {
      code: "ERR_SOURCE_UNAVAILABLE",
    });
  });

  it("are found in containerd's folder, with hosts.toml or without", async () => {
    await resolve({ hostsFolder: folder({ "ca.crt": made.authority.certificate }) });
    assert.equal(clients.at(-1), undefined);
    const files = {
      "hosts.toml": `ca = "root.pem"\nclient = "both.pem"\n`,
      "root.pem": made.authority.certificate,
      "both.pem": made.client.certificate + made.client.key,
    };
    await resolve({ hostsFolder: folder(files) });
    assert.equal(clients.at(-1), "client");
  });

  it("are given, but a given client certificate is not shown to mirrors", async () => {
    const client = await readClientCertificate(made.client.certificateFile, made.client.keyFile);
    const certificates = { trusted: [made.authority.certificate], client };
    await resolve({ certificates });
    assert.equal(clients.at(-1), "client");
    const hosts = folder({ "hosts.toml": `server = "https://r.test"\n[host."https://${host}"]\n` });
    await resolve({ certificates, hostsFolder: hosts });
    assert.equal(clients.at(-1), undefined);
  });

  it("are not shown where the registry redirects to, but trusted there", async () => {
    const client = await readClientCertificate(made.client.certificateFile, made.client.keyFile);
    const certificates = { trusted: [made.authority.certificate], client };
    await using http = new HttpClient();
    const endpoints = new ConfiguredEndpoints({ certificates });
    const reference = { registry: host, repository: "app", tag: "v1" };
    await using source = new RegistrySource({ http, credentials: ANONYMOUS, endpoints }, reference);
    await source.blobs.read(id, 0, 10, { signal });
    await source.blobs.read(id, 0, 10, { signal });
    // The first read asks for the scheme, too; the second goes where the first was sent.
    assert.deepEqual(clients, ["client", "client", undefined, undefined]);
  });

  it("that are broken are named", async () => {
    const wrong: readonly Readonly<Record<string, string>>[] = [
      { "ca.crt": "no certificate" },
      { "client.cert": made.client.certificate },
      { "client.cert": made.client.certificate, "client.key": made.client.certificate },
    ];
    for (const files of wrong) {
      await assert.rejects(resolve({ certificateFolders: [folder(files)] }), { code: "ERR_OPTION_INVALID" });
    }
  });
});
