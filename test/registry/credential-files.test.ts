import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { isCoded } from "#src/base/errors.js";
import { CredentialFiles, defaultCredentialFiles } from "#src/registry/credential-files.js";

const directory = mkdtempSync(join(tmpdir(), "credentials-"));
const auth = (text: string): { auth: string } => ({ auth: Buffer.from(text).toString("base64") });
let count = 0;

function filesOf(...documents: unknown[]): CredentialFiles {
  return new CredentialFiles(
    documents.map((document) => {
      const path = join(directory, `${count++}.json`);
      writeFileSync(path, typeof document === "string" ? document : JSON.stringify(document));
      return path;
    }),
  );
}

describe("CredentialFiles", () => {
  const path = process.env["PATH"];
  before(() => {
    process.env["PATH"] = `${directory}:${path}`;
    const helper = join(directory, "docker-credential-test");
    writeFileSync(
      helper,
      `#!/bin/sh
read server
case "$1 $server" in
  "get https://index.docker.io/v1/") echo '{"ServerURL":"x","Username":"hub","Secret":"hubsecret"}';;
  "get token.example") echo '{"ServerURL":"x","Username":"<token>","Secret":"identity"}';;
  "get broken.example") echo 'topsecret is no JSON';;
  "get failing.example") echo topsecret; exit 3;;
  *) echo "credentials not found in native keychain"; exit 1;;
esac
`,
    );
    chmodSync(helper, 0o755);
  });
  after(() => {
    process.env["PATH"] = path;
    rmSync(directory, { recursive: true });
  });

  it("finds every spelling of a registry's key", async () => {
    for (const key of [
      "host.example",
      "https://host.example",
      "https://host.example/v2/",
      "http://host.example/v1/",
    ]) {
      assert.deepEqual(await filesOf({ auths: { [key]: auth("me:pa:ss") } }).find("host.example", "a/b"), {
        kind: "password",
        username: "me",
        password: "pa:ss",
      });
    }
    for (const key of ["https://index.docker.io/v1/", "docker.io", "registry-1.docker.io"]) {
      const found = await filesOf({ auths: { [key]: auth("me:x") } }).find("docker.io", "library/debian");
      assert.equal(found?.kind, "password");
    }
  });

  it("prefers the longest path, and stays inside path parts", async () => {
    const files = filesOf({
      auths: {
        "h.example": auth("host:x"),
        "h.example/team": auth("team:x"),
        "h.example/team/app": auth("app:x"),
      },
    });
    const user = async (repository: string): Promise<string | undefined> => {
      const found = await files.find("h.example", repository);
      return found?.kind === "password" ? found.username : undefined;
    };
    assert.deepEqual(await Promise.all(["other", "team/x", "teams", "team/app", "team/app/sub"].map(user)), [
      "host",
      "team",
      "host",
      "app",
      "app",
    ]);
    assert.equal(await files.find("h.example.evil.example", "team"), undefined);
  });

  it("prefers an identity token, reads plain fields, and passes over empty rows and absent files", async () => {
    assert.deepEqual(
      await filesOf({ auths: { "h.example": { ...auth("u:p"), identitytoken: "t" } } }).find(
        "h.example",
        "a",
      ),
      {
        kind: "identity-token",
        token: "t",
      },
    );
    assert.deepEqual(
      await filesOf(
        { auths: { "h.example": {} } },
        { auths: { "h.example": { username: "u", password: "p" } } },
      ).find("h.example", "a"),
      { kind: "password", username: "u", password: "p" },
    );
    assert.equal(await new CredentialFiles([join(directory, "absent")]).find("h.example", "a"), undefined);
  });

  it("asks credential helpers", async () => {
    const files = filesOf({
      credHelpers: { "token.example": "test" },
      credsStore: "test",
      auths: { "kept.example": auth("u:p") },
    });
    assert.deepEqual(await files.find("docker.io", "library/x"), {
      kind: "password",
      username: "hub",
      password: "hubsecret",
    });
    assert.deepEqual(await files.find("token.example", "x"), { kind: "identity-token", token: "identity" });
    assert.deepEqual(await files.find("kept.example", "x"), {
      kind: "password",
      username: "u",
      password: "p",
    });
    assert.equal(await files.find("unknown.example", "x"), undefined);
  });

  it("never shows what a file or a helper held when it is refused", async () => {
    const refused = [
      () => filesOf('{"auths":{"h.example":{"auth":"topsecret').find("h.example", "a"),
      () => filesOf({ auths: { "h.example": auth("topsecret") } }).find("h.example", "a"),
      () => filesOf({ credsStore: "test" }).find("broken.example", "a"),
      () => filesOf({ credsStore: "test" }).find("failing.example", "a"),
      () => filesOf({ credsStore: "not-installed" }).find("h.example", "a"),
      () => filesOf({ credsStore: "../evil" }).find("h.example", "a"),
    ];
    for (const find of refused) {
      await assert.rejects(find(), (error: unknown) => {
        assert.ok(isCoded(error, "ERR_CREDENTIALS_INVALID"));
        assert.doesNotMatch(`${error.stack} ${String(error.cause)}`, /topsecret|dG9wc2VjcmV0/);
        return true;
      });
    }
  });
});

describe("defaultCredentialFiles()", () => {
  it("names the places of podman and docker in order", () => {
    assert.deepEqual(
      defaultCredentialFiles({ HOME: "/home/me", XDG_RUNTIME_DIR: "/run/user/1", DOCKER_CONFIG: "" }),
      [
        "/run/user/1/containers/auth.json",
        "/home/me/.config/containers/auth.json",
        "/home/me/.docker/config.json",
      ],
    );
    assert.deepEqual(defaultCredentialFiles({}), []);
  });
});
