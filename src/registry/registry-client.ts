import { CodedError, isCoded } from "../base/errors.ts";
import type { Reference } from "../format/oci/reference.ts";
import { type Clock, SYSTEM_CLOCK } from "../net/clock.ts";
import type { HttpClient } from "../net/http-client.ts";
import type { HttpResponse } from "../net/http-response.ts";
import { DEFAULT_RETRY, type RetryPolicy, retried } from "../net/retry.ts";
import type { CredentialSource } from "./credentials.ts";
import { type EndpointSource, type Need, registryEndpoint } from "./endpoint.ts";
import { EndpointClient } from "./endpoint-client.ts";
import type { RegistryRequest } from "./registry-request.ts";

/** What a {@link RegistryClient} works with. */
export interface RegistryDependencies {
  readonly http: HttpClient;
  readonly credentials: CredentialSource;
  /** Mirrors and certificates. @default the registry itself, with the certificates of `http` */
  readonly endpoints?: EndpointSource;
  /** @default the machine's clock */
  readonly clock?: Clock;
  /** A number in [0, 1), for jitter. @default Math.random */
  readonly random?: () => number;
}

/** How a {@link RegistryClient} behaves. */
export interface RegistryOptions {
  /** Whether http without TLS is used beyond loopback, when `endpoints` says nothing. @default false */
  readonly plainHttp?: boolean;
  /** @default {@link DEFAULT_RETRY} */
  readonly retry?: RetryPolicy;
}

/** Milliseconds for which a mirror that did not answer is passed over. */
const REST_MS = 30_000;

interface Server {
  readonly client: EndpointClient;
  /** When it may be asked again. */
  restsUntilMs: number;
}

/**
 * One repository of a registry, through the registry's mirrors and the registry itself. Reads ask one after the other
 * until one has the answer; what is stored goes to the first that takes it.
 *
 * This is the one place that tries again what a registry did not answer: see {@link RetryPolicy}.
 */
export class RegistryClient {
  readonly registry: string;
  readonly repository: string;
  /** `HOST/REPOSITORY`. */
  readonly name: string;
  readonly clock: Clock;
  readonly random: () => number;
  readonly retry: RetryPolicy;
  readonly #dependencies: RegistryDependencies;
  readonly #plainHttp: boolean;
  #servers: Promise<readonly Server[]> | undefined;

  constructor(dependencies: RegistryDependencies, reference: Reference, options: RegistryOptions = {}) {
    const { registry, repository } = reference;
    this.registry = registry;
    this.repository = repository;
    this.name = `${registry}/${repository}`;
    this.clock = dependencies.clock ?? SYSTEM_CLOCK;
    this.random = dependencies.random ?? Math.random;
    this.retry = options.retry ?? DEFAULT_RETRY;
    this.#dependencies = dependencies;
    this.#plainHttp = options.plainHttp ?? false;
  }

  /**
   * Sends a request, again while no server is available.
   *
   * @throws {CodedError} as {@link EndpointClient.send}, of the last server asked.
   */
  send(request: RegistryRequest): Promise<HttpResponse> {
    return this.retried(() => this.sendOnce(request), request.signal);
  }

  /** Runs a call with this client's clock and policy: see {@link retried}. */
  retried<Result>(call: () => Promise<Result>, signal: AbortSignal): Promise<Result> {
    return retried(call, this, this.retry, signal);
  }

  /** As {@link RegistryClient.send}, for callers who try again themselves because they read a body too. */
  async sendOnce(request: RegistryRequest): Promise<HttpResponse> {
    const servers = await this.#serversFor(request.need);
    for (const server of servers.slice(0, -1)) {
      if (this.clock.now() < server.restsUntilMs) continue;
      try {
        const response = await server.client.send(request);
        if (response.status !== 404) return response;
        await response.drain();
      } catch (error) {
        if (!isNextWorthAsking(error)) throw error;
        // One dead mirror must not cost every one of a thousand reads its timeout.
        if (error.code === "ERR_SOURCE_UNAVAILABLE") server.restsUntilMs = this.clock.now() + REST_MS;
      }
    }
    return (servers.at(-1) as Server).client.send(request);
  }

  async #serversFor(need: Need): Promise<readonly Server[]> {
    this.#servers ??= this.#findServers().catch((error: unknown) => {
      this.#servers = undefined;
      throw error;
    });
    const able = (await this.#servers).filter(({ client }) => client.endpoint.needs.includes(need));
    if (able.length === 0) {
      throw new CodedError("ERR_OPTION_INVALID", `no configured server of ${this.registry} may ${need}`);
    }
    // What one server stored another does not see at once: an upload stays with one.
    return need === "push" ? able.slice(0, 1) : able;
  }

  async #findServers(): Promise<readonly Server[]> {
    const { endpoints } = this.#dependencies;
    const found = (await endpoints?.find(this.registry)) ?? [
      registryEndpoint(this.registry, this.#plainHttp),
    ];
    const dependencies = { ...this.#dependencies, clock: this.clock };
    return found.map((endpoint) => ({
      client: new EndpointClient(dependencies, endpoint, this.repository),
      restsUntilMs: 0,
    }));
  }
}

function isNextWorthAsking(error: unknown): error is CodedError {
  return isCoded(error, "ERR_SOURCE_UNAVAILABLE", "ERR_REGISTRY_DENIED", "ERR_REGISTRY_PROTOCOL");
}
