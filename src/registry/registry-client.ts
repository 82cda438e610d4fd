import { orAborted } from "../base/abort.ts";
import { CodedError, isCoded } from "../base/errors.ts";
import type { Reference } from "../format/oci/reference.ts";
import { type Clock, SYSTEM_CLOCK } from "../net/clock.ts";
import type { HttpClient, HttpRequest } from "../net/http-client.ts";
import type { HttpResponse } from "../net/http-response.ts";
import { redactUrl } from "../net/redact.ts";
import { DEFAULT_RETRY, type RetryPolicy, retried } from "../net/retry.ts";
import { Authenticator } from "./authenticator.ts";
import { parseChallenges } from "./challenge.ts";
import type { CredentialSource } from "./credentials.ts";
import { registryError } from "./registry-error.ts";
import { apiHostOf, isLoopback } from "./registry-host.ts";

/** What a {@link RegistryClient} works with. */
export interface RegistryDependencies {
  readonly http: HttpClient;
  readonly credentials: CredentialSource;
  /** @default the machine's clock */
  readonly clock?: Clock;
  /** A number in [0, 1), for jitter. @default Math.random */
  readonly random?: () => number;
}

/** How a {@link RegistryClient} behaves. */
export interface RegistryOptions {
  /** Whether http without TLS is used beyond loopback. @default false */
  readonly plainHttp?: boolean;
  /** @default {@link DEFAULT_RETRY} */
  readonly retry?: RetryPolicy;
}

/** What is done with a repository. */
export type Access = "pull" | "pull,push";

/** One request to a repository. */
export interface RegistryRequest {
  readonly method: HttpRequest["method"];
  /** Path under `/v2/REPOSITORY/`, or a URL that the registry gave (an upload's Location). */
  readonly target: string | URL;
  readonly access: Access;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: () => Uint8Array | AsyncIterable<Uint8Array>;
  /** Bytes of a streamed body. */
  readonly bodySize?: number;
  /** Statuses that are given back; every other one is thrown. */
  readonly allow: readonly number[];
  /** For messages: `manifest v1 of registry.example/app`. */
  readonly what: string;
  /** Whether the request is sent again when the server is not available. @default true */
  readonly isRepeatable?: boolean;
  readonly signal: AbortSignal;
}

const MAX_REDIRECTS = 5;
const REDIRECTS = [301, 302, 303, 307, 308];

/**
 * Speaks the OCI distribution protocol with one repository: finds the scheme, answers challenges,
 * follows redirects of reads, and tries again what may be tried again.
 *
 * An Authorization header goes to the registry's origin only. No error shows a credential, nor the
 * query of a URL.
 *
 * @see OCI distribution-spec 1.1
 */
export class RegistryClient {
  readonly registry: string;
  readonly repository: string;
  /** `HOST/REPOSITORY`. */
  readonly name: string;
  readonly clock: Clock;
  readonly random: () => number;
  readonly retry: RetryPolicy;
  readonly #http: HttpClient;
  readonly #authenticator: Authenticator;
  readonly #plainHttp: boolean;
  #origin: Promise<URL> | undefined;

  constructor(dependencies: RegistryDependencies, reference: Reference, options: RegistryOptions = {}) {
    const { registry, repository } = reference;
    this.registry = registry;
    this.repository = repository;
    this.name = `${registry}/${repository}`;
    this.clock = dependencies.clock ?? SYSTEM_CLOCK;
    this.random = dependencies.random ?? Math.random;
    this.retry = options.retry ?? DEFAULT_RETRY;
    this.#http = dependencies.http;
    this.#plainHttp = options.plainHttp ?? false;
    this.#authenticator = new Authenticator(
      { http: dependencies.http, credentials: dependencies.credentials, clock: this.clock },
      { registry, repository },
    );
  }

  /**
   * Sends a request.
   *
   * @throws {CodedError} ERR_REGISTRY_DENIED for 401 and 403, ERR_SOURCE_UNAVAILABLE when the server
   *   stays away after every attempt, ERR_REGISTRY_PROTOCOL for any other status that is not allowed,
   *   ERR_CREDENTIALS_INVALID, ERR_ABORTED, or what the streamed body throws.
   */
  send(request: RegistryRequest): Promise<HttpResponse> {
    const policy = request.isRepeatable === false ? { ...this.retry, attempts: 1 } : this.retry;
    return this.retried(() => this.#sendOnce(request), request.signal, policy);
  }

  /** Runs a call with this client's clock and policy: see {@link retried}. */
  retried<Result>(call: () => Promise<Result>, signal: AbortSignal, policy = this.retry): Promise<Result> {
    return retried(call, this, policy, signal);
  }

  /** Gets a URL that the registry once redirected to, without credentials. Any status is given back. */
  getElsewhere(
    url: URL,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<HttpResponse> {
    return this.#http.send({ method: "GET", url, headers, signal });
  }

  /** The URL of a path under `/v2/REPOSITORY/`. */
  async urlOf(path: string, signal: AbortSignal): Promise<URL> {
    return new URL(`/v2/${this.repository}/${path}`, await this.#findOrigin(signal));
  }

  async #sendOnce(request: RegistryRequest): Promise<HttpResponse> {
    const { target, signal } = request;
    const url = typeof target === "string" ? await this.urlOf(target, signal) : target;
    let response = await this.#sendAuthorized(request, url);
    const isRead = request.method === "GET" || request.method === "HEAD";
    for (let count = 0; isRead && REDIRECTS.includes(response.status); count++) {
      const next = locationOf(response);
      await response.drain();
      if (count >= MAX_REDIRECTS) {
        throw new CodedError("ERR_REGISTRY_PROTOCOL", `${request.what}: over ${MAX_REDIRECTS} redirects`);
      }
      response = await this.#sendAuthorized(request, next);
    }
    if (request.allow.includes(response.status)) return response;
    throw await registryError(response, request.what);
  }

  async #sendAuthorized(request: RegistryRequest, url: URL): Promise<HttpResponse> {
    const origin = await this.#findOrigin(request.signal);
    if (url.origin !== origin.origin) return this.#sendWith(request, url, undefined);
    const scope = `repository:${this.repository}:${request.access}`;
    const authorization = this.#authenticator.headerFor(scope);
    const response = await this.#sendWith(request, url, authorization);
    if (response.status !== 401) return response;
    const challenges = parseChallenges(response.header("www-authenticate"));
    const renewed = await orAborted(
      this.#authenticator.answer(challenges, scope, authorization, url),
      request.signal,
    );
    if (renewed === undefined) return response;
    await response.drain();
    return this.#sendWith(request, url, renewed);
  }

  #sendWith(request: RegistryRequest, url: URL, authorization: string | undefined): Promise<HttpResponse> {
    const { method, headers, body, bodySize, signal } = request;
    return this.#http.send({
      method,
      url,
      headers: { ...headers, ...(authorization !== undefined && { authorization }) },
      ...(body !== undefined && { body: body() }),
      ...(bodySize !== undefined && { bodySize }),
      signal,
    });
  }

  #findOrigin(signal: AbortSignal): Promise<URL> {
    this.#origin ??= this.#probeOrigin().catch((error: unknown) => {
      this.#origin = undefined;
      throw error;
    });
    return orAborted(this.#origin, signal);
  }

  async #probeOrigin(): Promise<URL> {
    const host = apiHostOf(this.registry);
    if (this.#plainHttp) return new URL(`http://${host}`);
    if (!isLoopback(host)) return new URL(`https://${host}`);
    // A registry on this machine may speak either. A TLS server answers plain http with 400 or a reset.
    const [plain, secure] = [new URL(`http://${host}`), new URL(`https://${host}`)];
    try {
      return (await this.#ping(plain)) === 400 ? secure : plain;
    } catch (error) {
      if (!isCoded(error, "ERR_SOURCE_UNAVAILABLE")) throw error;
      return this.#ping(secure).then(
        () => secure,
        () => {
          throw error;
        },
      );
    }
  }

  async #ping(origin: URL): Promise<number> {
    // Every request waits for this one: no signal of theirs may end it, the client's timeouts do.
    const { signal } = new AbortController();
    using response = await this.#http.send({ method: "GET", url: new URL("/v2/", origin), signal });
    await response.drain();
    return response.status;
  }
}

/**
 * Where a response points to.
 *
 * @throws {CodedError} ERR_REGISTRY_PROTOCOL when it has no usable Location, or one that leaves TLS.
 */
export function locationOf(response: HttpResponse): URL {
  const location = response.header("location") ?? "";
  const where = redactUrl(response.url);
  if (location === "" || !URL.canParse(location, response.url.href)) {
    throw new CodedError(
      "ERR_REGISTRY_PROTOCOL",
      `${where} answered ${response.status} without a usable Location`,
    );
  }
  const url = new URL(location, response.url);
  const isWeb = url.protocol === "https:" || url.protocol === "http:";
  if (!isWeb || (response.url.protocol === "https:" && url.protocol !== "https:")) {
    throw new CodedError(
      "ERR_REGISTRY_PROTOCOL",
      `${where} points to ${redactUrl(url)}, which is without TLS`,
    );
  }
  url.username = "";
  url.password = "";
  return url;
}
