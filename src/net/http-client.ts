import {
  type ClientRequest,
  Agent as HttpAgent,
  request as httpRequest,
  type IncomingMessage,
  type RequestOptions,
} from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { CodedError, isCoded } from "../base/errors.ts";
import { certificateOptions } from "./certificates.ts";
import { HttpResponse } from "./http-response.ts";
import { redactUrl } from "./redact.ts";

/** One request. */
export interface HttpRequest {
  readonly method: "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  /** Bytes, or a stream of exactly `bodySize` bytes. */
  readonly body?: Uint8Array | AsyncIterable<Uint8Array>;
  /** Bytes of a streamed body. */
  readonly bodySize?: number;
  readonly signal: AbortSignal;
}

/** How an {@link HttpClient} behaves. */
export interface HttpClientOptions {
  /** Connections to one host at once. @default 32 */
  readonly maxConnections?: number;
  /** Milliseconds until a connection must stand, TLS included. @default 15000 */
  readonly connectTimeoutMs?: number;
  /** Milliseconds without a byte in either direction after which a request fails. @default 30000 */
  readonly idleTimeoutMs?: number;
  /** Milliseconds that the header of the answer to a request without a body may take in all. @default 60000 */
  readonly headerTimeoutMs?: number;
  /** Certificates in PEM that are trusted beside the system's. @default none */
  readonly extraCertificates?: readonly string[];
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
  readonly #http: HttpAgent;
  readonly #https: HttpsAgent;
  readonly #connectTimeoutMs: number;
  readonly #idleTimeoutMs: number;
  readonly #headerTimeoutMs: number;
  readonly #userAgent: string;
  readonly #underWay = new Set<ClientRequest>();
  #isClosed = false;

  constructor(options: HttpClientOptions = {}) {
    const shared = { keepAlive: true, maxSockets: options.maxConnections ?? 32, keepAliveMsecs: 15_000 };
    this.#http = new HttpAgent(shared);
    this.#https = new HttpsAgent({ ...shared, ...certificateOptions(options.extraCertificates) });
    this.#connectTimeoutMs = options.connectTimeoutMs ?? 15_000;
    this.#idleTimeoutMs = options.idleTimeoutMs ?? 30_000;
    this.#headerTimeoutMs = options.headerTimeoutMs ?? 60_000;
    this.#userAgent = options.userAgent ?? "nydus-toolkit";
  }

  /**
   * Sends a request and waits for the header of its response, whatever its status. The response must
   * be read to its end or disposed.
   *
   * @throws {CodedError} ERR_SOURCE_UNAVAILABLE when the server cannot be reached, breaks off or falls
   *   silent, ERR_ABORTED when the signal fired or the client is closed, or what the streamed body throws.
   */
  async send(request: HttpRequest): Promise<HttpResponse> {
    const { url, signal } = request;
    throwIfAborted(signal, url);
    if (this.#isClosed) throw closedError(url);
    const isSecure = url.protocol === "https:";
    const options: RequestOptions = {
      method: request.method,
      agent: isSecure ? this.#https : this.#http,
      headers: { "user-agent": this.#userAgent, ...request.headers, ...lengthHeaders(request) },
      maxHeaderSize: MAX_HEADER_SIZE,
      signal,
    };
    const outgoing = (isSecure ? httpsRequest : httpRequest)(url, options);
    this.#underWay.add(outgoing);
    outgoing.once("close", () => this.#underWay.delete(outgoing));
    const giveUp = (why: string): void => {
      outgoing.destroy(new Error(why));
    };
    let incoming: IncomingMessage | undefined;
    outgoing.setTimeout(this.#idleTimeoutMs);
    outgoing.on("timeout", () => {
      // Bytes that wait for a slow reader are not the server's silence.
      if (incoming !== undefined && incoming.readableLength > 0) outgoing.setTimeout(this.#idleTimeoutMs);
      else giveUp(`nothing for ${this.#idleTimeoutMs} ms`);
    });
    outgoing.once("socket", (socket) => {
      // A header that comes byte by byte, or interim answers without end, are no silence. A registry may take its
      // time over an upload.
      if (request.body === undefined) {
        const late = setTimeout(
          () => giveUp(`no answer in ${this.#headerTimeoutMs} ms`),
          this.#headerTimeoutMs,
        );
        outgoing.once("response", () => clearTimeout(late)).once("close", () => clearTimeout(late));
      }
      if (!socket.connecting) return;
      const timer = setTimeout(
        () => giveUp(`no connection in ${this.#connectTimeoutMs} ms`),
        this.#connectTimeoutMs,
      );
      socket.once(isSecure ? "secureConnect" : "connect", () => clearTimeout(timer));
      socket.once("close", () => clearTimeout(timer));
    });
    // The listener stays: an error after the response would otherwise end the process.
    const answered = new Promise<IncomingMessage>((resolve, reject) => {
      outgoing.once("response", (message) => {
        incoming = message;
        resolve(message);
      });
      outgoing.on("error", reject);
    });
    const failedBody: { error?: unknown } = {};
    try {
      const [response] = await Promise.all([answered, writeBody(outgoing, request, answered, failedBody)]);
      return new HttpResponse(response, url, signal);
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
    this.#http.destroy();
    this.#https.destroy();
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
  failedBody: { error?: unknown },
): Promise<void> {
  const { body } = request;
  if (body === undefined || body instanceof Uint8Array) {
    outgoing.end(body);
    return;
  }
  const pieces = async function* (): AsyncGenerator<Uint8Array> {
    try {
      yield* body;
    } catch (error) {
      failedBody.error = error;
      throw error;
    }
  };
  const writing = pipeline(Readable.from(pieces(), { objectMode: false }), outgoing);
  writing.catch(() => undefined);
  // A server that refuses early (401, 413) need not read the rest: its answer is what counts.
  await Promise.race([writing, answered.then(() => undefined)]);
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
