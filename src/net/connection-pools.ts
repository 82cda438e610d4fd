import { Agent as HttpAgent } from "node:http";
import { type AgentOptions, Agent as HttpsAgent } from "node:https";
import { type Certificates, certificateOptions } from "./certificates.ts";
import { TunnelAgent } from "./tunnel-agent.ts";

/** How {@link ConnectionPools} keep connections. */
export interface PoolOptions {
  /** Connections to one host at once. */
  readonly maxConnections: number;
  /** Milliseconds until a proxy must have opened a tunnel. */
  readonly connectTimeoutMs: number;
}

/**
 * Kept connections. Those that were opened with other certificates, or through another proxy, are never shared: a
 * server that saw a client certificate would take every request on the connection for that client's.
 */
export class ConnectionPools implements Disposable {
  readonly #options: PoolOptions;
  readonly #plain: HttpAgent;
  readonly #secure = new Map<Certificates, Map<string, HttpsAgent>>();

  constructor(options: PoolOptions) {
    this.#options = options;
    this.#plain = new HttpAgent(this.#shared());
  }

  /** The connections for plain http, to servers and to proxies that forward. */
  get plain(): HttpAgent {
    return this.#plain;
  }

  /**
   * The connections over TLS.
   *
   * @param certificates Compared by identity.
   * @param proxy Opens a tunnel to the server; `undefined` for direct connections.
   */
  secure(certificates: Certificates, proxy: URL | undefined): HttpsAgent {
    const byProxy = this.#secure.get(certificates) ?? new Map<string, HttpsAgent>();
    this.#secure.set(certificates, byProxy);
    const key = proxy?.href ?? "";
    const options = { ...this.#shared(), ...certificateOptions(certificates) };
    const agent =
      byProxy.get(key) ??
      (proxy === undefined
        ? new HttpsAgent(options)
        : new TunnelAgent(proxy, { ...options, tunnelTimeoutMs: this.#options.connectTimeoutMs }));
    byProxy.set(key, agent);
    return agent;
  }

  [Symbol.dispose](): void {
    this.#plain.destroy();
    for (const agents of this.#secure.values()) for (const agent of agents.values()) agent.destroy();
  }

  #shared(): AgentOptions {
    return { keepAlive: true, maxSockets: this.#options.maxConnections, keepAliveMsecs: 15_000 };
  }
}
