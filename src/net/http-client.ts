import {
  type ClientRequest,
  request as httpRequest,
  type IncomingMessage,
  type RequestOptions,
} from "node:http";
import { request as httpsRequest } from "node:https";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { orAborted } from "../base/abort.ts";
import { CodedError, isCoded } from "../base/errors.ts";
import type { Certificates } from "./certificates.ts";
import { type Clock, SYSTEM_CLOCK } from "./clock.ts";
import { ConnectionPools } from "./connection-pools.ts";
import { HttpResponse } from "./http-response.ts";
import { type ProxyChoice, proxyAuthorization } from "./proxy.ts";
import { DEFAULT_RATE, RateFloor, type RateLimits } from "./rate-floor.ts";
import { redactUrl } from "./redact.ts";
import { traceExchange } from "./trace-exchange.ts";

/** One request. */
export interface HttpRequest {
  readonly method: "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  /** Bytes, or a stream of exactly `bodySize` bytes. */
  readonly body?: Uint8Array | AsyncIterable<Uint8Array>;
  /** Bytes of a streamed body. */
  readonly bodySize?: number;
  /** @default those of the client. Connections are shared by requests that give the same object. */
  readonly certificates?: Certificates;
  /** Milliseconds that the header of the answer may take after the body was sent. @default those of the client */
  readonly answerTimeoutMs?: number;
  readonly signal: AbortSignal;
}

/** How an {@link HttpClient} behaves. */
export interface HttpClientOptions {
  /** Connections to one host at once. @default 32 */
  readonly maxConnections?: number;
  /** Milliseconds until a connection must stand, TLS or a proxy's tunnel included. @default 15000 */
  readonly connectTimeoutMs?: number;
  /** Milliseconds without a byte in either direction after which a transfer fails. @default 30000 */
  readonly idleTimeoutMs?: number;
  /** Milliseconds that the header of an answer may take in all once the request was sent. @default 60000 */
  readonly answerTimeoutMs?: number;
  /** The least rate of a body in either direction. @default {@link DEFAULT_RATE} */
  readonly rate?: RateLimits;
  /** Certificates for requests that bring none. @default none */
  readonly certificates?: Certificates;
  /** @default no proxy */
  readonly proxyFor?: ProxyChoice;
  /** Times the bodies. @default the machine's clock */
  readonly clock?: Clock;
  /** Value of User-Agent. @default "nydus-toolkit" */
  readonly userAgent?: string;
}

/** Bytes of the header of a response that are still read. Signed redirects reach 4 KiB. */
const MAX_HEADER_SIZE = 32 * 1024;

/**
 * Sends HTTP requests over kept connections. It follows no redirect, keeps no cookie, tries nothing
 * twice and adds no credentials: callers do, who know what may go where.
 */
export class HttpClient implements AsyncDisposable {
  readonly #pools: ConnectionPools;
  readonly #connectTimeoutMs: number;
  readonly #idleTimeoutMs: number;
  readonly #answerTimeoutMs: number;
  readonly #rate: RateLimits;
  readonly #certificates: Certificates;
  readonly #proxyFor: ProxyChoice;
  readonly #clock: Clock;
  readonly #userAgent: string;
  readonly #underWay = new Set<ClientRequest>();
  #isClosed = false;

  constructor(options: HttpClientOptions = {}) {
    this.#connectTimeoutMs = options.connectTimeoutMs ?? 15_000;
    this.#pools = new ConnectionPools({
      maxConnections: options.maxConnections ?? 32,
      connectTimeoutMs: this.#connectTimeoutMs,
    });
    this.#idleTimeoutMs = options.idleTimeoutMs ?? 30_000;
    this.#answerTimeoutMs = options.answerTimeoutMs ?? 60_000;
    this.#rate = options.rate ?? DEFAULT_RATE;
    this.#certificates = options.certificates ?? {};
    this.#proxyFor = options.proxyFor ?? (() => undefined);
    this.#clock = options.clock ?? SYSTEM_CLOCK;
    this.#userAgent = options.userAgent ?? "nydus-toolkit";
  }

  /**
   * Sends a request and waits for the header of its response, whatever its status. The response must
   * be read to its end or disposed.
   *
   * @throws {CodedError} ERR_SOURCE_UNAVAILABLE when the server (or its proxy) cannot be reached, breaks off, falls
   *   silent or is slower than the least rate, ERR_REGISTRY_DENIED when a proxy refuses the tunnel, ERR_ABORTED when
   *   the signal fired or the client is closed, or what the streamed body throws.
   */
  async send(request: HttpRequest): Promise<HttpResponse> {
    const { url, signal } = request;
    throwIfAborted(signal, url);
    if (this.#isClosed) throw closedError(url);
    const outgoing = this.#start(request);
    this.#underWay.add(outgoing);
    traceExchange(outgoing, url);
    outgoing.once("close", () => this.#underWay.delete(outgoing));
    const rate = new RateFloor(this.#clock, this.#rate);
    this.#watch(outgoing, request);
    // The listener stays: an error after the response would otherwise end the process.
    const answered = new Promise<IncomingMessage>((resolve, reject) => {
      outgoing.once("response", resolve);
      outgoing.on("error", reject);
    });
    const failedBody: { error?: unknown } = {};
    try {
      // Node ends a request that waits for a connection only once it has one.
      const [response] = await orAborted(
        Promise.all([answered, writeBody(outgoing, request, answered, rate, failedBody)]),
        signal,
      );
      return new HttpResponse(response, url, signal, new RateFloor(this.#clock, this.#rate));
    } catch (error) {
      outgoing.destroy();
      if ("error" in failedBody) throw failedBody.error;
      if (this.#isClosed) throw closedError(url);
      throw requestFailure(error, url, signal);
    }
  }

  /** Ends what is under way: nobody waits for it any more, and it must not hold the process. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    for (const outgoing of this.#underWay) outgoing.destroy();
    this.#pools[Symbol.dispose]();
  }

  #start(request: HttpRequest): ClientRequest {
    const { url, method, signal, certificates = this.#certificates } = request;
    const headers: Record<string, string> = {
      "user-agent": this.#userAgent,
      ...request.headers,
      ...lengthHeaders(request),
    };
    const options: RequestOptions = { method, headers, maxHeaderSize: MAX_HEADER_SIZE, signal };
    const proxy = this.#proxyFor(url);
    if (url.protocol === "https:") {
      return httpsRequest(url, { ...options, agent: this.#pools.secure(certificates, proxy) });
    }
    if (proxy === undefined) return httpRequest(url, { ...options, agent: this.#pools.plain });
    // A proxy forwards plain http: it gets the whole URL in the place of the path.
    const authorization = proxyAuthorization(proxy);
    headers["host"] = url.host;
    if (authorization !== undefined) headers["proxy-authorization"] = authorization;
    const isSecure = proxy.protocol === "https:";
    return (isSecure ? httpsRequest : httpRequest)(new URL("/", proxy.origin), {
      ...options,
      path: `${url.origin}${url.pathname}${url.search}`,
      agent: isSecure ? this.#pools.secure(this.#certificates, undefined) : this.#pools.plain,
    });
  }

  /** Ends a request that keeps us waiting. */
  #watch(outgoing: ClientRequest, request: HttpRequest): void {
    const { answerTimeoutMs = this.#answerTimeoutMs, body } = request;
    const giveUpAfter = (milliseconds: number, why: string): NodeJS.Timeout =>
      setTimeout(() => outgoing.destroy(new Error(`${why} ${milliseconds} ms`)), milliseconds);
    let incoming: IncomingMessage | undefined;
    outgoing.once("response", (message) => {
      incoming = message;
      outgoing.setTimeout(this.#idleTimeoutMs);
    });
    outgoing.setTimeout(this.#idleTimeoutMs);
    outgoing.on("timeout", () => {
      // Bytes that wait for a slow reader, or that a slow writer did not give us yet, are not the server's silence.
      const isOurTurn =
        incoming === undefined
          ? body !== undefined && !outgoing.writableEnded && outgoing.writableLength === 0
          : incoming.readableLength > 0;
      if (isOurTurn) outgoing.setTimeout(this.#idleTimeoutMs);
      else outgoing.destroy(new Error(`nothing for ${this.#idleTimeoutMs} ms`));
    });
    // A header that comes byte by byte, or interim answers without end, are no silence. And a registry that takes its
    // time to store what it was sent is silent for longer than a broken connection may be.
    outgoing.once(body === undefined ? "socket" : "finish", () => {
      if (incoming !== undefined || outgoing.destroyed) return;
      const late = giveUpAfter(answerTimeoutMs, "no answer in");
      if (body !== undefined) outgoing.setTimeout(0);
      outgoing.once("response", () => clearTimeout(late)).once("close", () => clearTimeout(late));
    });
    outgoing.once("socket", (socket) => {
      if (!socket.connecting) return;
      const late = giveUpAfter(this.#connectTimeoutMs, "no connection in");
      socket.once("encrypted" in socket ? "secureConnect" : "connect", () => clearTimeout(late));
      socket.once("close", () => clearTimeout(late));
    });
  }
}

function closedError(url: URL): CodedError {
  return new CodedError("ERR_ABORTED", `the request to ${redactUrl(url)} came after the end`);
}

/** The coded error for what went wrong on a connection. */
export function requestFailure(error: unknown, url: URL, signal: AbortSignal): unknown {
  if (isCoded(error)) return error;
  if (signal.aborted) {
    return new CodedError("ERR_ABORTED", `the request to ${redactUrl(url)} was interrupted`, {
      cause: error,
    });
  }
  const reason = error instanceof Error ? error.message : String(error);
  return new CodedError("ERR_SOURCE_UNAVAILABLE", `${redactUrl(url)} does not answer: ${reason}`, {
    cause: error,
  });
}

async function writeBody(
  outgoing: ReturnType<typeof httpRequest>,
  request: HttpRequest,
  answered: Promise<IncomingMessage>,
  rate: RateFloor,
  failedBody: { error?: unknown },
): Promise<void> {
  const { body } = request;
  if (body === undefined || body instanceof Uint8Array) {
    outgoing.end(body);
    return;
  }
  const pieces = async function* (): AsyncGenerator<Uint8Array> {
    const iterator = body[Symbol.asyncIterator]();
    try {
      for (;;) {
        const next = await iterator.next().catch((error: unknown) => {
          failedBody.error = error;
          throw error;
        });
        if (next.done === true) return;
        rate.begin();
        yield next.value;
        if (rate.isTooSlowAfter(next.value.length)) throw new Error(`it takes ${rate}`);
      }
    } finally {
      await iterator.return?.();
    }
  };
  let isWritten = false;
  const writing = pipeline(Readable.from(pieces(), { objectMode: false }), outgoing).then(() => {
    isWritten = true;
  });
  writing.catch(() => undefined);
  // A server that refuses early (401, 413) need not read the rest: its answer is what counts.
  const early = answered.then((message) => {
    // Once that is read, nobody wants the rest to be sent.
    message.once("end", () => {
      if (!isWritten) outgoing.destroy();
    });
  });
  await Promise.race([writing, early]);
}

function lengthHeaders(request: HttpRequest): Record<string, string> {
  const { body, bodySize, method } = request;
  if (body instanceof Uint8Array) return { "content-length": String(body.length) };
  if (body !== undefined && bodySize !== undefined) return { "content-length": String(bodySize) };
  if (body === undefined && (method === "POST" || method === "PUT" || method === "PATCH")) {
    return { "content-length": "0" };
  }
  return {};
}

function throwIfAborted(signal: AbortSignal, url: URL): void {
  if (signal.aborted) throw requestFailure(signal.reason, url, signal);
}
