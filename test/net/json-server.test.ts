import assert from "node:assert/strict";
import { once } from "node:events";
import { stat, writeFile } from "node:fs/promises";
import { request as httpRequest } from "node:http";
import { connect } from "node:net";
import { join } from "node:path";
import { describe, it } from "node:test";
import { CodedError } from "#src/base/errors.js";
import { type JsonRoute, JsonServer, MAX_BODY_SIZE } from "#src/net/json-server.js";
import { temporaryDirectory } from "../support/temporary-directory.ts";

interface Answer {
  readonly status: number | undefined;
  readonly text: string;
}

async function ask(
  socketPath: string,
  method: string,
  path: string,
  body?: string | Buffer,
): Promise<Answer> {
  const outgoing = httpRequest({ socketPath, method, path, agent: false });
  // A server that has read enough closes.
  outgoing.on("error", () => undefined);
  outgoing.end(body);
  const [response] = await once(outgoing, "response");
  let text = "";
  for await (const part of response.setEncoding("utf8")) text += part;
  return { status: response.statusCode, text };
}

async function serve(
  routes: Readonly<Record<string, JsonRoute>>,
  action: (socket: string, bugs: readonly unknown[]) => Promise<void>,
): Promise<void> {
  await using folder = await temporaryDirectory();
  const bugs: unknown[] = [];
  await using server = new JsonServer({ routes, onError: (error) => bugs.push(error) });
  const socket = join(folder.path, "socket");
  await server.listenAt(socket);
  await action(socket, bugs);
}

describe("JsonServer", () => {
  it("answers with what a route gives, and with 204 for nothing", async () => {
    const routes: Record<string, JsonRoute> = {
      "POST /sum": ({ body, query }) => ({ sum: (body as number[]).length, of: query.get("of") }),
      "PUT /nothing": () => undefined,
    };
    await serve(routes, async (socket) => {
      const sum = await ask(socket, "POST", "/sum?of=x", "[1,2]");
      assert.deepEqual(sum, { status: 200, text: '{"sum":2,"of":"x"}\n' });
      assert.deepEqual(await ask(socket, "PUT", "/nothing"), { status: 204, text: "" });
    });
  });

  it("gives an error its status and code, and none of its causes", async () => {
    const routes: Record<string, JsonRoute> = {
      "GET /fault": () => {
        throw new CodedError("ERR_PATH_NOT_FOUND", "no such mount", { cause: new Error("s3cr3t") });
      },
      "GET /bug": () => {
        throw new TypeError("a bug");
      },
    };
    await serve(routes, async (socket, bugs) => {
      const fault = await ask(socket, "GET", "/fault");
      const error = { code: "ERR_PATH_NOT_FOUND", message: "no such mount" };
      assert.deepEqual({ ...fault, text: JSON.parse(fault.text) }, { status: 404, text: { error } });
      assert.equal((await ask(socket, "GET", "/bug")).status, 500);
      assert.equal(bugs.length, 1);
      assert.equal((await ask(socket, "GET", "/constructor")).status, 404);
      assert.equal((await ask(socket, "GET", "/toString")).status, 404);
    });
  });

  it("refuses a body that is too large or no JSON without quoting it", async () => {
    await serve({ "POST /x": () => undefined }, async (socket) => {
      const large = await ask(socket, "POST", "/x", Buffer.alloc(MAX_BODY_SIZE + 1));
      assert.equal(large.status, 413);
      const wrong = await ask(socket, "POST", "/x", '{"password":"s3cr3t"');
      assert.equal(wrong.status, 400);
      assert.ok(!wrong.text.includes("s3cr3t"), wrong.text);
    });
  });

  it("takes the place of a dead socket, is its user's alone, and lives with garbage", async () => {
    await using folder = await temporaryDirectory();
    const socket = join(folder.path, "socket");
    await writeFile(socket, "");
    await using server = new JsonServer({ routes: { "GET /x": () => ({}) }, onError: () => undefined });
    await server.listenAt(socket);
    assert.equal((await stat(socket)).mode & 0o777, 0o600);
    const garbage = connect(socket);
    garbage.end("\0\0garbage\r\n\r\n").resume();
    await once(garbage, "close");
    assert.equal((await ask(socket, "GET", "/x")).status, 200);
  });

  it("listens at a TCP address, says which, and answers text as text", async () => {
    await using server = new JsonServer({ routes: { "GET /x": () => "ok\n" }, onError: () => undefined });
    const address = await server.listenTcp("127.0.0.1", 0);
    const response = await fetch(`http://${address}/x`);
    assert.deepEqual(
      [response.status, response.headers.get("content-type"), await response.text()],
      [200, "text/plain", "ok\n"],
    );
    await using second = new JsonServer({ routes: {}, onError: () => undefined });
    const port = Number(new URL(`http://${address}`).port);
    await assert.rejects(second.listenTcp("127.0.0.1", port), { code: "ERR_TARGET_IO" });
    await assert.rejects(second.listenTcp("host.invalid", port), { code: "ERR_TARGET_IO" });
  });
});
