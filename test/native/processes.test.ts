import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { addon } from "#src/native/addon.js";

const native = addon();
const skip = native === undefined ? "the native addon is not built" : false;

describe("dieWithParent()", { skip }, () => {
  it("ends a process whose parent is killed, whatever it is at", async () => {
    const module = JSON.stringify(import.meta.resolve("#src/native/addon.js"));
    const child = `const { addon } = await import(${module}); addon().dieWithParent(9); console.log(process.pid); for (;;);`;
    const parent = `
      const { spawn } = await import("node:child_process");
      const args = ["--input-type=module", "-e", ${JSON.stringify(child)}];
      spawn(process.execPath, args, { stdio: "inherit" });
      setInterval(() => {}, 1000);`;
    const process_ = spawn(process.execPath, ["--input-type=module", "-e", parent]);
    const [pid] = await once(process_.stdout.setEncoding("utf8"), "data");
    const folder = `/proc/${Number(pid)}`;
    assert.ok(existsSync(folder));
    process_.kill("SIGKILL");
    for (let tries = 0; tries < 500 && existsSync(folder); tries++) await delay(10);
    assert.equal(existsSync(folder), false);
  });
});

describe("sendDatagram()", { skip }, () => {
  it("says why a datagram was not sent", () => {
    const send = (address: string) => native?.sendDatagram(Buffer.from(address), Buffer.from("READY=1"));
    assert.throws(() => send("/nonexistent/socket"), { code: "ENOENT", syscall: "sendmsg" });
    assert.throws(() => send("\0nydus-toolkit-nobody"), { code: "EUNKNOWN", syscall: "sendmsg" });
    assert.throws(() => send("x".repeat(200)), TypeError);
  });
});
