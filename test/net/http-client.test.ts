import assert from "node:assert/strict";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { after, describe, it } from "node:test";
import { isCoded } from "#src/base/errors.js";
import { HttpClient } from "#src/net/http-client.js";

const signal = new AbortController().signal;
const servers: Server[] = [];
after(() => {
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
});

async function serve(listener: RequestListener): Promise<URL> {
  const server = createServer(listener);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/path?token=secret`);
}

describe("HttpClient", () => {
  it("streams a body to the server and one back, over one connection", async () => {
    const ports = new Set<number | undefined>();
    const url = await serve((request, response) => {
      ports.add(request.socket.remotePort);
      request.pipe(response);
    });
    await using http = new HttpClient();
    const body = async function* (): AsyncGenerator<Uint8Array> {
      for (let index = 0; index < 50; index++) yield Buffer.alloc(10_000, index);
    };
    for (let round = 0; round < 3; round++) {
      using response = await http.send({ method: "PUT", url, body: body(), bodySize: 500_000, signal });
      assert.equal((await response.bytes(1e6)).length, 500_000);
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.equal(ports.size, 1);
  });

  it("gives back redirects and errors as they are", async () => {
    const url = await serve((request, response) => {
      response.writeHead(request.method === "GET" ? 302 : 500, { location: "/elsewhere" });
      response.end();
    });
    await using http = new HttpClient();
    using redirect = await http.send({ method: "GET", url, signal });
    using failure = await http.send({ method: "POST", url, signal });
    assert.deepEqual(
      [redirect.status, redirect.header("location"), failure.status],
      [302, "/elsewhere", 500],
    );
  });

  it("fails with a retryable code when nobody listens, the answer breaks off or the server falls silent", async () => {
    const closed = await serve(() => undefined);
    const server = servers.pop();
    await new Promise((resolve) => server?.close(resolve));
    const broken = await serve((_, response) => {
      response.writeHead(200, { "content-length": "100" });
      response.write("half", () => response.destroy());
    });
    const silent = await serve(() => undefined);
    await using http = new HttpClient({ idleTimeoutMs: 100 });
    const read = async (url: URL): Promise<void> => {
      using response = await http.send({ method: "GET", url, signal });
      await response.bytes(1000);
    };
    for (const url of [closed, broken, silent]) {
      await assert.rejects(read(url), { code: "ERR_SOURCE_UNAVAILABLE", message: /^(?!.*secret)/ });
    }
  });

  it("waits for a slow reader longer than for a silent server", async () => {
    const url = await serve((_, response) => response.end(Buffer.alloc(20 * 2 ** 20)));
    await using http = new HttpClient({ idleTimeoutMs: 400 });
    using response = await http.send({ method: "GET", url, signal });
    let size = 0;
    for await (const piece of response.pieces()) {
      if (size === 0) await new Promise((resolve) => setTimeout(resolve, 1200));
      size += piece.length;
    }
    assert.equal(size, 20 * 2 ** 20);
  });

  it("reads no more of a body than asked", async () => {
    const url = await serve((_, response) => response.end(Buffer.alloc(2 ** 20)));
    await using http = new HttpClient();
    using response = await http.send({ method: "GET", url, signal });
    await assert.rejects(response.bytes(1000), { code: "ERR_LIMIT_EXCEEDED" });
    using other = await http.send({ method: "GET", url, signal });
    assert.equal((await other.excerpt(10)).length, 10);
  });

  it("refuses a header over its limit", async () => {
    const url = await serve((_, response) => response.writeHead(200, { long: "x".repeat(60_000) }).end());
    await using http = new HttpClient();
    await assert.rejects(http.send({ method: "GET", url, signal }), { code: "ERR_SOURCE_UNAVAILABLE" });
  });

  it("ends when its signal fires, before and in the middle of the answer", async () => {
    const url = await serve((_, response) => {
      response.writeHead(200);
      response.write("first");
    });
    await using http = new HttpClient();
    const aborted = AbortSignal.abort();
    await assert.rejects(http.send({ method: "GET", url, signal: aborted }), { code: "ERR_ABORTED" });
    const controller = new AbortController();
    using response = await http.send({ method: "GET", url, signal: controller.signal });
    const reading = (async () => {
      for await (const _ of response.pieces()) controller.abort();
    })();
    await assert.rejects(reading, { code: "ERR_ABORTED" });
  });

  it("ends what is under way when it is closed, and sends nothing any more", async () => {
    let arrived: () => void;
    const silent = new Promise<void>((resolve) => {
      arrived = resolve;
    });
    const url = await serve(() => arrived());
    const http = new HttpClient();
    const waiting = assert.rejects(http.send({ method: "GET", url, signal }), { code: "ERR_ABORTED" });
    await silent;
    await http[Symbol.asyncDispose]();
    await waiting;
    await assert.rejects(http.send({ method: "GET", url, signal }), { code: "ERR_ABORTED" });
  });

  it("gives up on a body that drips, in either direction", async () => {
    const rate = { minimumRate: 100_000, windowMs: 100 };
    await using http = new HttpClient({ idleTimeoutMs: 1000, rate });
    const giving = await serve((_, response) => {
      const timer = setInterval(() => response.write("x"), 5);
      response.on("close", () => clearInterval(timer));
    });
    using response = await http.send({ method: "GET", url: giving, signal });
    await assert.rejects(response.bytes(1e6), { code: "ERR_SOURCE_UNAVAILABLE" });
    const taking = await serve((request) => {
      const timer = setInterval(() => request.read(100), 5);
      request.on("close", () => clearInterval(timer)).on("error", () => undefined);
    });
    const body = async function* (): AsyncGenerator<Uint8Array> {
      for (let index = 0; index < 1000; index++) yield Buffer.alloc(65_536);
    };
    const sending = http.send({ method: "PUT", url: taking, body: body(), bodySize: 65_536_000, signal });
    await assert.rejects(sending, { code: "ERR_SOURCE_UNAVAILABLE" });
  });

  it("gives up on a server that stops to take a body", async () => {
    const url = await serve((request) => request.pause());
    await using http = new HttpClient({ idleTimeoutMs: 100 });
    const body = async function* (): AsyncGenerator<Uint8Array> {
      for (let index = 0; index < 1000; index++) yield Buffer.alloc(65_536);
    };
    const sending = http.send({ method: "PUT", url, body: body(), bodySize: 65_536_000, signal });
    await assert.rejects(sending, { code: "ERR_SOURCE_UNAVAILABLE" });
  });

  it("waits for our own slow body", async () => {
    const url = await serve((request, response) => request.on("end", () => response.end("done")).resume());
    await using http = new HttpClient({ idleTimeoutMs: 300 });
    const body = async function* (): AsyncGenerator<Uint8Array> {
      for (let index = 0; index < 3; index++) {
        await new Promise((resolve) => setTimeout(resolve, 500));
        yield Buffer.alloc(10);
      }
    };
    using response = await http.send({ method: "PUT", url, body: body(), bodySize: 30, signal });
    assert.equal(response.status, 200);
  });

  it("waits for the answer to a body as long as the request says, and no longer", async () => {
    const url = await serve((request, response) => {
      request.on("end", () => setTimeout(() => response.end("stored"), 900)).resume();
    });
    await using http = new HttpClient({ idleTimeoutMs: 300, answerTimeoutMs: 300 });
    const send = (answerTimeoutMs?: number): Promise<unknown> =>
      http.send({
        method: "PUT",
        url,
        body: Buffer.alloc(10),
        signal,
        ...(answerTimeoutMs !== undefined && { answerTimeoutMs }),
      });
    await assert.rejects(send(), { code: "ERR_SOURCE_UNAVAILABLE" });
    await send(5000);
  });

  it("takes an answer that comes before the body was sent", async () => {
    const url = await serve((_, response) =>
      response.writeHead(413, { connection: "close" }).end("too large"),
    );
    await using http = new HttpClient();
    const body = async function* (): AsyncGenerator<Uint8Array> {
      yield Buffer.alloc(1000);
      await new Promise((resolve) => setTimeout(resolve, 5000).unref());
    };
    using response = await http.send({ method: "PUT", url, body: body(), bodySize: 2000, signal });
    assert.equal(response.status, 413);
  });

  it("sends no more of a body once the server has refused it", async () => {
    const url = await serve((_, response) => response.writeHead(403).end("no"));
    await using http = new HttpClient();
    let isOver: (value: unknown) => void;
    const over = new Promise((resolve) => {
      isOver = resolve;
    });
    const body = async function* (): AsyncGenerator<Uint8Array> {
      try {
        for (;;) yield Buffer.alloc(65_536);
      } finally {
        isOver("over");
      }
    };
    using response = await http.send({ method: "PUT", url, body: body(), bodySize: 1e12, signal });
    assert.deepEqual([response.status, await response.excerpt(10)], [403, "no"]);
    await response.drain();
    assert.equal(await over, "over");
  });

  it("throws what the streamed body throws", async () => {
    const url = await serve((request, response) => request.on("end", () => response.end()).resume());
    await using http = new HttpClient();
    const failure = new TypeError("the source broke");
    const body = async function* (): AsyncGenerator<Uint8Array> {
      yield Buffer.alloc(1000);
      throw failure;
    };
    const sending = http.send({ method: "PUT", url, body: body(), bodySize: 2000, signal });
    await assert.rejects(sending, failure);
  });

  it("gives up on a header that never ends, however often a byte of it comes", async () => {
    const dripping: RequestListener[] = [
      ({ socket }) => drip(socket, "HTTP/1.1 200 OK\r\n", "x: y\r\n"),
      ({ socket }) => drip(socket, "", "HTTP/1.1 100 Continue\r\n\r\n"),
    ];
    await using http = new HttpClient({ idleTimeoutMs: 1000, answerTimeoutMs: 200 });
    for (const listener of dripping) {
      const url = await serve(listener);
      await assert.rejects(http.send({ method: "GET", url, signal }), (error) =>
        isCoded(error, "ERR_SOURCE_UNAVAILABLE"),
      );
    }
  });
});

function drip(socket: Socket, first: string, piece: string): void {
  socket.write(first);
  const timer = setInterval(() => socket.write(piece), 20);
  socket.on("error", () => undefined).on("close", () => clearInterval(timer));
}
