import { once } from "node:events";
import { chmodSync, renameSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { CodedError, ERRORS } from "../base/errors.ts";

/** Bytes of the body of a request. */
export const MAX_BODY_SIZE = 4 * 2 ** 20;
/** Requests answered at once; more are refused. */
const MAX_REQUESTS = 1024;
const REQUEST_TIMEOUT_MS = 30_000;

/** A request as a route sees it. */
export interface JsonRequest {
  readonly query: URLSearchParams;
  /** The parsed body; undefined when there is none. */
  readonly body: unknown;
  /** Fires when the asker went away. */
  readonly signal: AbortSignal;
}

/** What a route answers: a document for status 200, or undefined for 204. */
export type JsonRoute = (request: JsonRequest) => unknown;

/** An error as it is answered. */
export interface JsonFailure {
  readonly status: number;
  readonly body: unknown;
}

export interface JsonServerOptions {
  /** By `METHOD /path`. */
  readonly routes: Readonly<Record<string, JsonRoute>>;
  /** Writes down an error for the asker. @default `{"error":{"code","message"}}` with a status by its code */
  readonly formatError?: (error: unknown) => JsonFailure;
  /** Milliseconds in which a request must have come, header and body; 0 lets a connection be silent. @default 30000 */
  readonly requestTimeoutMs?: number;
  /** Told of errors that have no code: bugs. */
  readonly onError: (error: unknown) => void;
}

/** Answers HTTP requests with JSON documents on a unix socket. Bodies are bounded, every error has a code. */
export class JsonServer implements AsyncDisposable {
  readonly #server: Server;
  readonly #options: JsonServerOptions;
  #underWay = 0;

  constructor(options: JsonServerOptions) {
    this.#options = options;
    const requestTimeout = options.requestTimeoutMs ?? REQUEST_TIMEOUT_MS;
    this.#server = createServer({ requestTimeout, headersTimeout: requestTimeout }, (request, response) => {
      void this.#answer(request, response);
    });
  }

  /**
   * Listens at a path, for this user alone (0600). Takes the place of a socket that is there, which then belongs to
   * nobody, in one step: who asks at any time meets one of the two.
   *
   * @throws {CodedError} ERR_TARGET_IO.
   */
  async listenAt(path: string): Promise<void> {
    const temporary = `${path}.${process.pid}`;
    const before = process.umask(0o177);
    try {
      rmSync(temporary, { force: true });
      this.#server.listen(temporary);
      await once(this.#server, "listening");
      chmodSync(temporary, 0o600);
      renameSync(temporary, path);
    } catch (cause) {
      throw new CodedError("ERR_TARGET_IO", `control socket ${path}`, { cause });
    } finally {
      process.umask(before);
    }
  }

  /**
   * Listens at a TCP address, for everybody who reaches it.
   *
   * @param port 0 for any that is free.
   * @returns `HOST:PORT` as it came to be.
   * @throws {CodedError} ERR_TARGET_IO.
   */
  async listenTcp(host: string, port: number): Promise<string> {
    this.#server.maxConnections = MAX_REQUESTS;
    try {
      this.#server.listen(port, host);
      await once(this.#server, "listening");
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException;
      throw new CodedError("ERR_TARGET_IO", `address ${host}:${port}: ${code}`, { cause });
    }
    const { address, family, port: bound } = this.#server.address() as AddressInfo;
    return family === "IPv6" ? `[${address}]:${bound}` : `${address}:${bound}`;
  }

  /** Listens at a socket that somebody else has opened. */
  async listenOn(fd: number): Promise<void> {
    this.#server.listen({ fd });
    await once(this.#server, "listening");
  }

  /** Takes no more requests and waits for those under way. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeIdleConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const gone = new AbortController();
    response.once("close", () => gone.abort());
    this.#underWay++;
    try {
      if (this.#underWay > MAX_REQUESTS) {
        throw new CodedError("ERR_DAEMON_UNAVAILABLE", `${MAX_REQUESTS} requests are under way`);
      }
      const answer = await this.#route(request, gone.signal);
      send(response, answer === undefined ? 204 : 200, answer);
    } catch (error) {
      if (!(error instanceof CodedError)) this.#options.onError(error);
      const { status, body } = (this.#options.formatError ?? formatJsonError)(error);
      // What is left of a body that was too large is not read.
      response.setHeader("connection", "close");
      send(response, status, body);
    } finally {
      this.#underWay--;
    }
  }

  async #route(request: IncomingMessage, signal: AbortSignal): Promise<unknown> {
    const url = new URL(request.url ?? "/", "http://localhost");
    const key = `${request.method} ${url.pathname}`;
    const route = Object.hasOwn(this.#options.routes, key) ? this.#options.routes[key] : undefined;
    if (route === undefined) throw new CodedError("ERR_PATH_NOT_FOUND", `no such call: ${key}`);
    const body = parseBody(await readBody(request));
    return await route({ query: url.searchParams, body, signal });
  }
}

/** The status and document for an error. Its causes stay here: they may quote what an asker must not see. */
export function formatJsonError(error: unknown): JsonFailure {
  if (!(error instanceof CodedError)) {
    const message = error instanceof Error ? error.message : String(error);
    return { status: 500, body: { error: { code: "ERR_UNCLASSIFIED", message } } };
  }
  const { code, message } = error;
  return { status: HTTP_STATUS[ERRORS[code].grpc] ?? 500, body: { error: { code, message } } };
}

const HTTP_STATUS: Readonly<Record<string, number>> = {
  INVALID_ARGUMENT: 400,
  PERMISSION_DENIED: 403,
  NOT_FOUND: 404,
  ALREADY_EXISTS: 409,
  FAILED_PRECONDITION: 409,
  RESOURCE_EXHAUSTED: 413,
  UNIMPLEMENTED: 501,
  UNAVAILABLE: 503,
  DEADLINE_EXCEEDED: 504,
};

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > MAX_BODY_SIZE) {
      throw new CodedError("ERR_LIMIT_EXCEEDED", `a request has over ${MAX_BODY_SIZE} bytes`);
    }
    parts.push(part);
  }
  return Buffer.concat(parts);
}

function parseBody(bytes: Buffer): unknown {
  if (bytes.length === 0) return undefined;
  try {
    return JSON.parse(bytes.toString("utf8"));
  } catch {
    // The parser's message quotes the body, which may hold a password.
    throw new CodedError("ERR_OPTION_INVALID", "the body of the request is no JSON");
  }
}

function send(response: ServerResponse, status: number, answer: unknown): void {
  if (response.destroyed) return;
  const isText = typeof answer === "string";
  const text = answer === undefined ? "" : isText ? answer : `${JSON.stringify(answer)}\n`;
  response.writeHead(status, {
    "content-type": isText ? "text/plain" : "application/json",
    "content-length": Buffer.byteLength(text),
  });
  response.end(text);
}
