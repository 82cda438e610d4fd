import assert from "node:assert/strict";
import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { EventLog } from "#src/node/event-log.js";
import { openJsonLog } from "#src/telemetry/json-log.js";
import { temporaryDirectory } from "../support/temporary-directory.ts";

describe("openJsonLog()", () => {
  it("writes each event as a line before it returns, without planted secrets", async () => {
    await using folder = await temporaryDirectory();
    const path = join(folder.path, "log");
    const fd = openSync(path, "w");
    const log = new EventLog([], undefined, openJsonLog(fd));
    log.add("image.mounted", { image: "registry.example/app:1", mountpoint: "/mnt", ms: 7 });
    log.add("read.failed", {
      code: "ERR_SOURCE_UNAVAILABLE",
      message: "https://me:planted@r.example/v2/?sig=planted",
      password: "planted",
    });
    const text = readFileSync(path, "utf8");
    closeSync(fd);
    const lines = text.trimEnd().split("\n");
    const rows = lines.map((line) => {
      const { timeMs, ...row } = JSON.parse(line);
      assert.equal(typeof timeMs, "number");
      return row;
    });
    assert.deepEqual(rows, [
      { level: "info", event: "image.mounted", image: "registry.example/app:1", mountpoint: "/mnt", ms: 7 },
      {
        level: "error",
        event: "read.failed",
        code: "ERR_SOURCE_UNAVAILABLE",
        message: "https://***@r.example/v2/?***",
        password: "***",
      },
    ]);
  });
});
