import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import {
  DEFAULT_CONFIG_TEXT,
  parseDaemonConfig,
  readDaemonConfig,
  redactedConfig,
} from "#src/app/daemon-config.js";
import { ROOT } from "../support/fixtures.ts";

const LOGIN = '[registry.credentials."registry.example"]\nusername = "someone"\npassword = "pl4nted"\n';

describe("DEFAULT_CONFIG_TEXT", () => {
  it("says what an empty configuration gives, of every key", () => {
    const parsed = parseDaemonConfig(DEFAULT_CONFIG_TEXT, "default");
    assert.deepEqual(parsed, parseDaemonConfig("", "empty"));
    const { registry, http, tracing, ...rest } = parsed;
    const keys = [rest, registry, http, tracing]
      .flatMap((table) => Object.keys(table))
      .map((key) => key.replace(/Ms$/, ""));
    for (const key of keys)
      assert.match(DEFAULT_CONFIG_TEXT, new RegExp(`^(?:# ?\\[registry\\.)?${key}\\b`, "m"));
  });

  it("is what docs/daemon.md shows", () => {
    const page = readFileSync(join(ROOT, "docs/daemon.md"), "utf8");
    assert.ok(page.includes(`\`\`\`toml\n${DEFAULT_CONFIG_TEXT}\`\`\``));
  });
});

describe("parseDaemonConfig()", () => {
  it("reads every key", () => {
    const text = DEFAULT_CONFIG_TEXT.replace('readDeadline = "30s"', 'readDeadline = "500ms"')
      .replace("workers = 4", "workers = 8")
      .replace("plainHttp = false", "plainHttp = true");
    const config = parseDaemonConfig(`${text}${LOGIN}`, "file");
    const { readDeadlineMs, workers, registry } = config;
    assert.deepEqual(
      { readDeadlineMs, workers, plainHttp: registry.plainHttp, credentials: registry.credentials },
      {
        readDeadlineMs: 500,
        workers: 8,
        plainHttp: true,
        credentials: { "registry.example": { username: "someone", password: "pl4nted" } },
      },
    );
    assert.ok(!JSON.stringify(redactedConfig(config)).includes("pl4nted"));
  });

  it("reads addresses", () => {
    const listen = (text: string) => parseDaemonConfig(`[http]\nlisten = "${text}"`, "file").http.listen;
    assert.deepEqual(listen("127.0.0.1:9120"), { host: "127.0.0.1", port: 9120 });
    assert.deepEqual(listen("[::1]:0"), { host: "::1", port: 0 });
    assert.deepEqual(listen("node-1.example:80"), { host: "node-1.example", port: 80 });
  });

  for (const [what, text] of [
    ["an address without a port", '[http]\nlisten = "127.0.0.1"'],
    ["a port that there is not", '[http]\nlisten = "127.0.0.1:65536"'],
    ["a port without an address", '[http]\nlisten = ":9120"'],
    ["an endpoint with a login", '[tracing]\nendpoint = "http://me:pl4nted@127.0.0.1:4318"'],
    ["an endpoint with a query", '[tracing]\nendpoint = "http://127.0.0.1:4318?token=pl4nted"'],
    ["an endpoint that is no URL", '[tracing]\nendpoint = "pl4nted"'],
    ["an unknown key", "cacheDirektory = '/x'"],
    ["an unknown key of a table", "[registry]\nplainHTTP = true"],
    ["a relative path", "cacheDirectory = 'x'"],
    ["a socket path that no socket can have", `socket = '/${"x".repeat(100)}'`],
    ["another engine", "engine = 'fast'"],
    ["a duration without a unit", "readDeadline = '30'"],
    ["no workers", "workers = 0"],
    ["half a worker", "workers = 1.5"],
    ["a text that is no TOML", "workers = "],
    ["a password of another type", '[registry.credentials."x"]\nusername = "a"\npassword = 12345678'],
    ["a line with a password that is no TOML", '[registry.credentials."x"]\npassword = "pl4nted'],
  ] as const) {
    it(`returns ERR_OPTION_INVALID for ${what}, without quoting secrets`, () => {
      assert.throws(
        () => parseDaemonConfig(text, "daemon.toml"),
        (error: Error & { code?: string }) => {
          assert.equal(error.code, "ERR_OPTION_INVALID");
          assert.match(error.message, /^daemon\.toml: |must be/);
          assert.doesNotMatch(error.message, /pl4nted|12345678/);
          return true;
        },
      );
    });
  }
});

describe("readDaemonConfig()", () => {
  it("returns ERR_PATH_NOT_FOUND without the file", async () => {
    await assert.rejects(readDaemonConfig("/nonexistent.toml"), { code: "ERR_PATH_NOT_FOUND" });
  });
});
