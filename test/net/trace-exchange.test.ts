import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, it } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { HttpClient } from "#src/net/http-client.js";
import { freePort } from "../support/free-port.ts";
import { watchTraces } from "../support/watched-traces.ts";

const { signal } = new AbortController();

describe("the trace point exchange", () => {
  it("tells status and bytes of each answer over a kept connection, and no query", async () => {
    const server = createServer((request, response) => {
      response
        .writeHead(request.url === "/none" ? 404 : 200)
        .end(Buffer.alloc(request.url === "/none" ? 0 : 50_000));
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    using watched = watchTraces("exchange");
    {
      await using http = new HttpClient();
      for (const path of ["/blob?signature=s3cr3t", "/none", "/blob"]) {
        using response = await http.send({ method: "GET", url: new URL(path, origin), signal });
        await response.bytes(1e6);
        await nextTurn();
      }
    }
    server.close();
    const host = origin.slice("http://".length);
    assert.deepEqual(
      watched.ended.map(({ receivedBytes: _, ...rest }) => rest),
      [
        { method: "GET", host, path: "/blob", status: 200 },
        { method: "GET", host, path: "/none", status: 404 },
        { method: "GET", host, path: "/blob", status: 200 },
      ],
    );
    const [first = 0, second = 0, third = 0] = watched.ended.map(({ receivedBytes }) => receivedBytes);
    assert.ok(first > 50_000 && first < 51_000, String(first));
    assert.ok(second > 0 && second < 1000, String(second));
    assert.equal(third, first);
  });

  it("tells of a request that nobody answers", async () => {
    using watched = watchTraces("exchange");
    await using http = new HttpClient();
    const url = new URL(`http://127.0.0.1:${await freePort()}/x`);
    await assert.rejects(http.send({ method: "GET", url, signal }), { code: "ERR_SOURCE_UNAVAILABLE" });
    while (watched.ended.length === 0) await nextTurn();
    assert.equal(watched.ended.length, 1);
    const [{ status, error } = {}] = watched.ended;
    assert.equal(status, undefined);
    assert.equal((error as NodeJS.ErrnoException).code, "ECONNREFUSED");
  });
});
