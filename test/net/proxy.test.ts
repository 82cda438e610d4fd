import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer as createPlainServer } from "node:http";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { isCoded } from "#src/base/errors.js";
import { HttpClient } from "#src/net/http-client.js";
import { proxiesOf } from "#src/net/proxy.js";
import { makeCertificates, NO_OPENSSL, type TestCertificates } from "../support/certificates.ts";
import { ForwardProxy } from "../support/forward-proxy.ts";

const signal = new AbortController().signal;

describe("proxiesOf()", () => {
  const proxyOf = (url: string, environment: Record<string, string>): string | undefined =>
    proxiesOf(environment)(new URL(url))?.href;

  it("takes the proxy of the scheme, in capitals or not, with http as its own scheme", () => {
    const environment = { HTTP_PROXY: "plain.test:1", https_proxy: "https://secure.test:2" };
    assert.deepEqual(
      ["http://a.test", "https://a.test", "https://a.test:8443/x"].map((url) => proxyOf(url, environment)),
      ["http://plain.test:1/", "https://secure.test:2/", "https://secure.test:2/"],
    );
    assert.equal(proxyOf("https://a.test", { HTTP_PROXY: "plain.test:1" }), undefined);
    assert.equal(proxyOf("https://a.test", { HTTPS_PROXY: "", https_proxy: "" }), undefined);
  });

  it("never takes one for this machine", () => {
    for (const host of ["localhost:5000", "127.0.0.1", "127.3.4.5", "[::1]:5000"]) {
      assert.equal(proxyOf(`http://${host}/`, { HTTP_PROXY: "p.test:1" }), undefined);
    }
  });

  const exempt: readonly (readonly [string, string, boolean])[] = [
    ["*", "https://a.test", true],
    ["a.test", "https://a.test", true],
    ["A.Test", "https://a.test", true],
    ["a.test", "https://sub.a.test", true],
    ["a.test", "https://nota.test", false],
    [".a.test", "https://sub.a.test", true],
    [".a.test", "https://a.test", false],
    ["*.a.test", "https://sub.a.test", true],
    ["*.a.test", "https://a.test", false],
    ["a.test:443", "https://a.test", true],
    ["a.test:5000", "https://a.test", false],
    ["a.test:5000", "https://a.test:5000", true],
    ["b.test, a.test", "https://a.test", true],
    ["10.0.0.0/8", "https://10.1.2.3:5000", true],
    ["10.0.0.0/8", "https://11.1.2.3", false],
    ["10.0.0.0/8", "https://ten.test", false],
    ["10.1.2.3", "https://10.1.2.3:5000", true],
    ["10.1.2.3:80", "https://10.1.2.3:5000", false],
    ["fd00::/8", "https://[fd12::1]:5000", true],
    ["fd00::/8", "https://[fe80::1]", false],
    ["fd12::1", "https://[fd12::1]", true],
    ["[fd12::1]:5000", "https://[fd12::1]:5000", true],
    ["10.0.0.0/99", "https://10.0.0.1", false],
    ["", "https://a.test", false],
  ];
  for (const name of ["NO_PROXY", "no_proxy"]) {
    it(`reads the exemptions of ${name} as Go does`, () => {
      for (const [list, url, isExempt] of exempt) {
        const found = proxyOf(url, { HTTPS_PROXY: "p.test:1", [name]: list });
        assert.equal(found === undefined, isExempt, `${list} for ${url}`);
      }
    });
  }

  it("refuses a proxy of another kind, without its password", () => {
    for (const value of ["socks5://someone:secret@p.test", "http://someone:secret@p.test:bad"]) {
      assert.throws(
        () => proxiesOf({ HTTPS_PROXY: value }),
        (error) => isCoded(error, "ERR_OPTION_INVALID") && !/secret/.test(`${error.message}${error.stack}`),
      );
    }
  });
});

describe("HttpClient behind a proxy", { skip: NO_OPENSSL }, () => {
  const directory = mkdtempSync(join(tmpdir(), "proxy-"));
  let certificates: TestCertificates;
  let proxy: ForwardProxy;
  let secure: Server;

  before(async () => {
    if (NO_OPENSSL !== false) return;
    certificates = makeCertificates(directory);
    proxy = await ForwardProxy.start();
    secure = createServer(
      { key: certificates.server.key, cert: certificates.server.certificate },
      (request, response) =>
        response.end(`${request.method} ${request.headers.host} ${request.headers["proxy-authorization"]}`),
    );
    await new Promise<void>((resolve) => secure.listen(0, "127.0.0.1", resolve));
    proxy.leadsTo = { port: (secure.address() as AddressInfo).port };
  });
  after(async () => {
    secure?.closeAllConnections();
    secure?.close();
    await proxy?.[Symbol.asyncDispose]();
    rmSync(directory, { recursive: true });
  });

  const client = (environment: Record<string, string>): HttpClient =>
    new HttpClient({
      proxyFor: proxiesOf(environment),
      certificates: { trusted: [certificates.authority.certificate] },
      connectTimeoutMs: 1000,
    });
  const get = async (http: HttpClient, url: string): Promise<string> => {
    using response = await http.send({ method: "GET", url: new URL(url), signal });
    return Buffer.from(await response.bytes(1000)).toString();
  };

  it("speaks TLS with the server through a tunnel, which it keeps", async () => {
    proxy.seen.length = 0;
    proxy.authorizations.length = 0;
    await using http = client({ HTTPS_PROXY: `http://someone:se%3Acret@${proxy.host}` });
    for (let round = 0; round < 3; round++) {
      assert.equal(await get(http, "https://registry.test/v2/"), "GET registry.test undefined");
    }
    assert.deepEqual(proxy.seen, ["CONNECT registry.test:443"]);
    const basic = `Basic ${Buffer.from("someone:se:cret").toString("base64")}`;
    assert.deepEqual(proxy.authorizations, [basic]);
  });

  it("does not take the certificate of another name at the end of the tunnel", async () => {
    await using http = client({ HTTPS_PROXY: proxy.host });
    await assert.rejects(get(http, "https://other.test/"), { code: "ERR_SOURCE_UNAVAILABLE" });
  });

  it("hands plain http to it whole, with the credentials for it and no others", async () => {
    const plain = createPlainServer((request, response) =>
      response.end(`${request.url} ${request.headers.host}`),
    );
    await new Promise<void>((resolve) => plain.listen(0, "127.0.0.1", resolve));
    const before = proxy.leadsTo;
    proxy.leadsTo = { port: (plain.address() as AddressInfo).port };
    proxy.seen.length = 0;
    proxy.authorizations.length = 0;
    await using http = client({ HTTP_PROXY: `http://someone:secret@${proxy.host}` });
    assert.equal(await get(http, "http://registry.test/v2/?a=b"), "/v2/?a=b registry.test");
    assert.deepEqual(proxy.seen, ["GET http://registry.test/v2/?a=b"]);
    assert.deepEqual(proxy.authorizations, [`Basic ${Buffer.from("someone:secret").toString("base64")}`]);
    proxy.leadsTo = before;
    plain.closeAllConnections();
    plain.close();
  });

  for (const [what, refuse, code] of [
    ["refuses", 407, "ERR_REGISTRY_DENIED"],
    ["fails", 503, "ERR_SOURCE_UNAVAILABLE"],
    ["does not answer", 0, "ERR_SOURCE_UNAVAILABLE"],
  ] as const) {
    it(`fails in time when the proxy ${what}, and does not take its words for the server's`, async () => {
      proxy.refuse = refuse;
      await using http = client({ HTTPS_PROXY: `http://someone:secret@${proxy.host}` });
      await assert.rejects(get(http, "https://registry.test/v2/"), (error) => {
        assert.ok(isCoded(error, code));
        assert.match(error.message, /proxy 127/);
        assert.doesNotMatch(`${error.message} ${error.stack} ${String(error.cause)}`, /secret/);
        return true;
      });
      proxy.refuse = undefined;
    });
  }

  it("ends a tunnel that is being opened when its signal fires", async () => {
    proxy.refuse = 0;
    await using http = new HttpClient({ proxyFor: proxiesOf({ HTTPS_PROXY: proxy.host }) });
    const url = new URL("https://registry.test/");
    const began = performance.now();
    await assert.rejects(http.send({ method: "GET", url, signal: AbortSignal.timeout(50) }), {
      code: "ERR_ABORTED",
    });
    assert.ok(performance.now() - began < 5000);
    proxy.refuse = undefined;
  });
});
