import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { describe, it } from "node:test";
import { lockDirectory } from "#src/node/directory-lock.js";
import { temporaryDirectory } from "../support/temporary-directory.ts";

describe("lockDirectory()", () => {
  it("lets one in at a time", async () => {
    await using folder = await temporaryDirectory();
    const lock = lockDirectory(folder.path);
    assert.throws(() => lockDirectory(folder.path), { code: "ERR_DAEMON_RUNNING" });
    lock[Symbol.dispose]();
    lockDirectory(folder.path)[Symbol.dispose]();
  });

  it("lets the next one in when the process that has it is killed", async () => {
    await using folder = await temporaryDirectory();
    const module = import.meta.resolve("#src/node/directory-lock.js");
    const script = `
      const { lockDirectory } = await import(${JSON.stringify(module)});
      globalThis.lock = lockDirectory(process.argv[1]);
      console.log("locked");
      setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", script, folder.path]);
    await once(child.stdout, "data");
    assert.throws(() => lockDirectory(folder.path), { code: "ERR_DAEMON_RUNNING" });
    child.kill("SIGKILL");
    await once(child, "exit");
    lockDirectory(folder.path)[Symbol.dispose]();
  });

  it("returns ERR_TARGET_IO for a folder that is not there", () => {
    assert.throws(() => lockDirectory("/nonexistent/folder"), { code: "ERR_TARGET_IO" });
  });
});
