import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import type { RequestListener } from "node:http";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { HttpClient } from "#src/net/http-client.js";
import { ANONYMOUS, givenCredentials } from "#src/registry/credentials.js";
import { RegistrySource } from "#src/registry/registry-source.js";
import { findProgram } from "../support/docker-registry.ts";
import { madeImage } from "../support/made-image.ts";

const signal = new AbortController().signal;
const skip = findProgram("openssl") ? false : "openssl is not installed";
const image = madeImage([10], { os: "linux", architecture: "amd64" });

describe("RegistrySource over TLS", { skip }, () => {
  const directory = mkdtempSync(join(tmpdir(), "tls-"));
  const [key, certificate] = [join(directory, "key.pem"), join(directory, "certificate.pem")];
  if (skip === false) {
    const request = [
      "req",
      "-x509",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:P-256",
      "-nodes",
      "-days",
      "1",
    ];
    const name = ["-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1"];
    execFileSync("openssl", [...request, ...name, "-keyout", key, "-out", certificate], { stdio: "pipe" });
  }
  const servers: Server[] = [];
  after(() => {
    for (const server of servers) {
      server.closeAllConnections();
      server.close();
    }
    rmSync(directory, { recursive: true });
  });

  async function serve(listener: RequestListener): Promise<string> {
    const server = createServer({ key: readFileSync(key), cert: readFileSync(certificate) }, listener);
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return `127.0.0.1:${(server.address() as AddressInfo).port}`;
  }
  const trusting = (): HttpClient =>
    new HttpClient({ certificates: { trusted: [readFileSync(certificate, "utf8")] } });
  const NO_RETRY = { retry: { attempts: 1, firstDelayMs: 1, maxDelayMs: 1, deadlineMs: 1 } };

  it("finds that a registry on loopback speaks TLS, and trusts a given certificate", async () => {
    const host = await serve((request, response) => {
      const isPing = request.url === "/v2/";
      response.writeHead(200, { "content-type": image.manifest.descriptor.mediaType });
      response.end(isPing ? "" : image.manifest.bytes);
    });
    await using http = trusting();
    const reference = { registry: host, repository: "app", tag: "v1" };
    await using source = new RegistrySource({ http, credentials: ANONYMOUS }, reference, NO_RETRY);
    assert.equal((await source.resolve({ signal })).descriptor.digest, image.manifest.descriptor.digest);
    await using strict = new HttpClient();
    await using refused = new RegistrySource({ http: strict, credentials: ANONYMOUS }, reference, NO_RETRY);
    await assert.rejects(refused.resolve({ signal }), { code: "ERR_SOURCE_UNAVAILABLE" });
  });

  it("follows no redirect and asks no token server without TLS", async () => {
    const requests: string[] = [];
    const host = await serve((request, response) => {
      requests.push(request.url ?? "");
      if (request.url === "/v2/") response.end();
      else if (request.url?.includes("blobs"))
        response.writeHead(307, { location: "http://127.0.0.1:1/x" }).end();
      else response.writeHead(401, { "www-authenticate": 'Bearer realm="http://127.0.0.1:1/token"' }).end();
    });
    await using http = trusting();
    const reference = { registry: host, repository: "app", tag: "v1" };
    const credentials = givenCredentials("someone", "secret");
    await using source = new RegistrySource({ http, credentials }, reference, NO_RETRY);
    await assert.rejects(source.resolve({ signal }), { code: "ERR_REGISTRY_PROTOCOL" });
    await assert.rejects(source.blobs.read("0".repeat(64), 0, 1, { signal }), {
      code: "ERR_REGISTRY_PROTOCOL",
    });
    assert.equal(requests.length, 3);
  });
});
