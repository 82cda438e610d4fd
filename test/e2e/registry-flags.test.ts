import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { makeCertificates, NO_OPENSSL, type TestCertificates } from "../support/certificates.ts";
import { DockerRegistry, NO_DOCKER_REGISTRY } from "../support/docker-registry.ts";
import { fixturePath } from "../support/fixtures.ts";
import { ForwardProxy } from "../support/forward-proxy.ts";
import { runCommand } from "../support/run-command.ts";

const skip = NO_DOCKER_REGISTRY || NO_OPENSSL;
const SOURCE = `oci:${fixturePath("golden", "nydusify", "source")}:v1`;
/** A name that does not resolve: only a proxy or a mirror leads there. */
const IMAGE = "registry.test/app:nydus";

describe("the commands", { skip }, () => {
  const directory = mkdtempSync(join(tmpdir(), "flags-"));
  let made: TestCertificates;
  let registry: DockerRegistry;
  let proxy: ForwardProxy;

  before(async () => {
    if (skip !== false) return;
    made = makeCertificates(directory);
    registry = await DockerRegistry.start({ tls: made.server });
    proxy = await ForwardProxy.start();
    proxy.leadsTo = { port: Number(registry.host.split(":")[1]) };
  });
  after(async () => {
    await proxy?.[Symbol.asyncDispose]();
    await registry?.[Symbol.asyncDispose]();
    rmSync(directory, { recursive: true });
  });

  it("reach a registry through the proxy of the environment, and then through a mirror", async () => {
    const environment = { HTTPS_PROXY: `http://someone:secret@${proxy.host}` };
    const trust = ["--ca-file", made.authority.certificateFile];
    const pushed = await runCommand("nydus-convert", [SOURCE, IMAGE, ...trust], { environment });
    assert.equal(pushed.status, 0, pushed.stderr);
    assert.ok(proxy.seen.length > 0);
    assert.deepEqual(new Set(proxy.seen), new Set(["CONNECT registry.test:443"]));

    const hosts = join(directory, "certs.d", "registry.test");
    mkdirSync(hosts, { recursive: true });
    writeFileSync(
      join(hosts, "hosts.toml"),
      `[host."https://${registry.host}"]\ncapabilities = ["pull", "resolve"]\nca = "${made.authority.certificateFile}"\n`,
    );
    const mirror = { NYDUS_REGISTRY_CONFIG_DIR: join(directory, "certs.d") };
    const checked = await runCommand("nydus-convert", ["check", IMAGE], { environment: mirror });
    assert.equal(checked.status, 0, checked.stderr);
  });

  it("trust what docker trusts", async () => {
    const name = registry.host;
    const folder = join(directory, "docker", "certs.d", name);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "ca.crt"), made.authority.certificate);
    const environment = { DOCKER_CONFIG: join(directory, "docker") };
    const run = await runCommand("nydus-convert", [SOURCE, `${name}/app:docker`], { environment });
    assert.equal(run.status, 0, run.stderr);
  });

  it("say that a proxy refused, without its password", async () => {
    proxy.refuse = 407;
    const environment = { https_proxy: `http://someone:secret@${proxy.host}` };
    const run = await runCommand("nydus-convert", [SOURCE, IMAGE, "--verbose"], { environment });
    proxy.refuse = undefined;
    assert.equal(run.status, 5);
    assert.match(run.stderr, /proxy 127\.0\.0\.1:\d+ answered 407 [^\n]*\[ERR_REGISTRY_DENIED\]$/m);
    assert.doesNotMatch(run.stderr + run.stdout, /secret/);
  });

  it("refuse certificates and proxies that are none, before anything is sent", async () => {
    const wrong: readonly (readonly [readonly string[], Readonly<Record<string, string>>])[] = [
      [["--ca-file", "/nonexistent"], {}],
      [["--key-file", made.client.keyFile], {}],
      [["--registry-config-dir", "/nonexistent"], {}],
      [["--cert-file", made.client.certificateFile], {}],
      [[], { HTTPS_PROXY: "socks5://someone:secret@proxy.test" }],
    ];
    for (const [flags, environment] of wrong) {
      const run = await runCommand("nydus-convert", ["check", IMAGE, ...flags], { environment });
      assert.equal(run.status, 2, run.stderr);
      assert.match(run.stderr, / \[ERR_OPTION_INVALID\]\n$/);
      assert.doesNotMatch(run.stderr, /secret/);
    }
  });
});
