import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseNydusdConfig } from "#src/app/nydusd-config.js";

const AUTH = Buffer.from("someone:pl4nted").toString("base64");

/** As nydus-snapshotter 0.16 writes it. */
const VERSION_1 = {
  device: {
    id: "/7",
    backend: {
      type: "registry",
      config: {
        readahead: false,
        host: "registry.example:5000",
        repo: "team/app",
        auth: AUTH,
        scheme: "http",
        skip_verify: true,
        proxy: { fallback: true },
        timeout: 5,
      },
    },
    cache: { type: "blobcache", config: { work_dir: "/cache", disable_indexed_map: false } },
  },
  mode: "direct",
  digest_validate: false,
  fs_prefetch: { enable: true, prefetch_all: true, threads_count: 8 },
};

describe("parseNydusdConfig()", () => {
  it("reads version 1", () => {
    assert.deepEqual(parseNydusdConfig(JSON.stringify(VERSION_1)), {
      backend: {
        kind: "registry",
        host: "registry.example:5000",
        repository: "team/app",
        plainHttp: true,
        certificateFiles: [],
        credentials: { kind: "password", username: "someone", password: "pl4nted" },
      },
      workDirectory: "/cache",
      prefetch: "all",
    });
  });

  it("reads version 2", () => {
    const text = JSON.stringify({
      version: 2,
      backend: { type: "localfs", localfs: { dir: "/a", alt_dirs: ["/b"] } },
      cache: { type: "filecache", filecache: { work_dir: "/cache" } },
      rafs: { mode: "direct", prefetch: { enable: true } },
    });
    assert.deepEqual(parseNydusdConfig(text), {
      backend: { kind: "localfs", directories: ["/a", "/b"] },
      workDirectory: "/cache",
      prefetch: "hints",
    });
  });

  const withConfig = (config: object): string =>
    JSON.stringify({ device: { backend: { type: "registry", config } } });
  for (const [what, text, code] of [
    ["no JSON", `{"auth":"${AUTH}"`, "ERR_OPTION_INVALID"],
    ["no backend", "{}", "ERR_OPTION_INVALID"],
    ["a registry without a host", withConfig({ repo: "x", auth: AUTH }), "ERR_OPTION_INVALID"],
    ["an auth that is none", withConfig({ host: "x", repo: "x", auth: "pl4nted" }), "ERR_OPTION_INVALID"],
    ["a token", withConfig({ host: "x", repo: "x", registry_token: "pl4nted" }), "ERR_FEATURE_UNSUPPORTED"],
    ["skip_verify", withConfig({ host: "x", repo: "x", skip_verify: true }), "ERR_FEATURE_UNSUPPORTED"],
    ["another backend", JSON.stringify({ device: { backend: { type: "oss" } } }), "ERR_FEATURE_UNSUPPORTED"],
    ["over 1 MiB", `{"x":"${"x".repeat(2 ** 20)}"}`, "ERR_LIMIT_EXCEEDED"],
  ] as const) {
    it(`returns ${code} for ${what}, without quoting secrets`, () => {
      assert.throws(
        () => parseNydusdConfig(text),
        (error: Error & { code?: string }) => {
          assert.equal(error.code, code);
          assert.ok(!error.message.includes("pl4nted") && !error.message.includes(AUTH), error.message);
          return true;
        },
      );
    });
  }
});
