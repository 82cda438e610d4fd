import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { join } from "node:path";
import { describe, it } from "node:test";
import { CodedError } from "#src/base/errors.js";
import { JsonServer } from "#src/net/json-server.js";
import { ControlClient } from "#src/node/control-client.js";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const { signal } = new AbortController();

describe("ControlClient", () => {
  it("throws what the daemon answers, with its code", async () => {
    await using folder = await temporaryDirectory();
    const path = join(folder.path, "socket");
    const fail = (): never => {
      throw new CodedError("ERR_TARGET_EXISTS", "something is there");
    };
    await using server = new JsonServer({ routes: { "POST /v1/mounts": fail }, onError: () => undefined });
    await server.listenAt(path);
    const client = new ControlClient(path);
    const expected = { code: "ERR_TARGET_EXISTS", message: "something is there" };
    await assert.rejects(client.mount({ image: "x", mountpoint: "/x" }, signal), expected);
    await assert.rejects(client.status(signal), { code: "ERR_PATH_NOT_FOUND" });
  });

  it("waits for a successor while a socket has nobody behind it, and not for one that is not there", async () => {
    await using folder = await temporaryDirectory();
    const path = join(folder.path, "socket");
    const client = new ControlClient(path, 5000);
    await assert.rejects(client.status(signal), { code: "ERR_DAEMON_UNAVAILABLE" });
    const routes = { "GET /v1/status": () => ({ pid: 2 }) };
    const first = new JsonServer({ routes, onError: () => undefined });
    await first.listenAt(path);
    await first[Symbol.asyncDispose]();
    const asking = client.status(signal);
    await using second = new JsonServer({ routes, onError: () => undefined });
    await second.listenAt(path);
    assert.deepEqual(await asking, { pid: 2 });
  });

  it("returns ERR_DAEMON_UNAVAILABLE for answers that are no daemon's", async () => {
    await using folder = await temporaryDirectory();
    const path = join(folder.path, "socket");
    const server = createServer((_, response) => response.writeHead(500).end("<html>")).listen(path);
    await once(server, "listening");
    await assert.rejects(new ControlClient(path).status(signal), { code: "ERR_DAEMON_UNAVAILABLE" });
    server.close();
  });
});
