import { type ClientRequest, request as httpRequest, type IncomingMessage } from "node:http";
import {
  type AgentOptions,
  Agent as HttpsAgent,
  request as httpsRequest,
  type RequestOptions,
} from "node:https";
import type { Duplex } from "node:stream";
import { CodedError, type ErrorCode } from "../base/errors.ts";
import { proxyAuthorization } from "./proxy.ts";

/** How a {@link TunnelAgent} connects. */
export interface TunnelOptions extends AgentOptions {
  /** Milliseconds until the proxy must have opened the tunnel. */
  readonly tunnelTimeoutMs: number;
}

type Connected = (error: Error | null, stream: Duplex) => void;

/**
 * Reaches https servers through a proxy with CONNECT: TLS is spoken with the server, the proxy sees its name only.
 * What the proxy says instead of opening the tunnel is never taken for the answer of the server.
 *
 * @see RFC 9110 9.3.6
 */
export class TunnelAgent extends HttpsAgent {
  readonly #proxy: URL;
  readonly #timeoutMs: number;
  readonly #opening = new Set<ClientRequest>();

  constructor(proxy: URL, options: TunnelOptions) {
    super(options);
    this.#proxy = proxy;
    this.#timeoutMs = options.tunnelTimeoutMs;
  }

  override createConnection(options: RequestOptions, connected?: Connected): undefined {
    const proxy = this.#proxy;
    const fail = (code: ErrorCode, why: string, cause?: unknown): void => {
      const failure = new CodedError(code, `proxy ${proxy.host} ${why}`, { cause });
      // The type knows no failure without a stream; Node does.
      connected?.(failure, undefined as unknown as Duplex);
    };
    const host = options.host ?? "";
    const target = `${host.includes(":") ? `[${host}]` : host}:${options.port ?? 443}`;
    const authorization = proxyAuthorization(proxy);
    const request = (proxy.protocol === "https:" ? httpsRequest : httpRequest)({
      host: proxy.hostname.replace(/^\[|\]$/g, ""),
      port: proxy.port || (proxy.protocol === "https:" ? 443 : 80),
      method: "CONNECT",
      path: target,
      agent: false,
      headers: { host: target, ...(authorization !== undefined && { "proxy-authorization": authorization }) },
      ...(proxy.protocol === "https:" && options.ca !== undefined && { ca: options.ca }),
    });
    this.#opening.add(request);
    request.once("close", () => this.#opening.delete(request));
    const timer = setTimeout(
      () => request.destroy(new Error(`no tunnel in ${this.#timeoutMs} ms`)),
      this.#timeoutMs,
    );
    const refused = (answer: IncomingMessage): void => {
      request.destroy();
      const { statusCode = 0 } = answer;
      // Who has no business there will have none a moment later.
      const isFinal = statusCode === 403 || statusCode === 407;
      fail(
        isFinal ? "ERR_REGISTRY_DENIED" : "ERR_SOURCE_UNAVAILABLE",
        `answered ${statusCode} to CONNECT ${target}`,
      );
    };
    let isDecided = false;
    const decide = (): boolean => {
      clearTimeout(timer);
      const isFirst = !isDecided;
      isDecided = true;
      return isFirst;
    };
    request.on("error", (cause) => {
      if (decide()) fail("ERR_SOURCE_UNAVAILABLE", `does not open a tunnel: ${cause.message}`, cause);
    });
    request.once("response", (answer) => {
      if (decide()) refused(answer);
    });
    request.once("connect", (answer, socket, early) => {
      if (!decide()) return void socket.destroy();
      const { statusCode = 0 } = answer;
      // The server speaks only after us: bytes that are here already are the proxy's own.
      if (statusCode < 200 || statusCode > 299 || early.length > 0) {
        socket.destroy();
        return refused(answer);
      }
      const secured = super.createConnection({ ...options, socket } as RequestOptions);
      if (secured) connected?.(null, secured);
    });
    request.end();
    return undefined;
  }

  override destroy(): void {
    for (const request of this.#opening) request.destroy();
    super.destroy();
  }
}
