import { orAborted } from "../base/abort.ts";
import { CodedError, isCoded } from "../base/errors.ts";
import { type Certificates, withoutClient } from "../net/certificates.ts";
import type { Clock } from "../net/clock.ts";
import type { HttpClient, HttpRequest } from "../net/http-client.ts";
import type { HttpResponse } from "../net/http-response.ts";
import { Authenticator } from "./authenticator.ts";
import { parseChallenges } from "./challenge.ts";
import type { CredentialSource } from "./credentials.ts";
import type { Endpoint } from "./endpoint.ts";
import { locationOf } from "./location.ts";
import { registryError } from "./registry-error.ts";
import { type RegistryRequest, scopesOf } from "./registry-request.ts";

/** What an {@link EndpointClient} works with. */
export interface EndpointDependencies {
  readonly http: HttpClient;
  readonly credentials: CredentialSource;
  readonly clock: Clock;
}

const MAX_REDIRECTS = 5;
/** Redirect targets that are remembered. */
const MAX_REMEMBERED = 1024;

/**
 * Speaks the OCI distribution protocol with one server about one repository: finds the scheme, answers challenges and
 * follows redirects. Tries nothing twice.
 *
 * An Authorization header, a client certificate and the headers of a mirror's configuration go to the server's own
 * origin only. No error shows a credential, nor the query of a URL.
 *
 * @see OCI distribution-spec 1.1
 */
export class EndpointClient {
  readonly endpoint: Endpoint;
  readonly #repository: string;
  readonly #http: HttpClient;
  readonly #authenticator: Authenticator;
  /** For the places that the server sends us to: as trusted as its own configuration says, but not told who we are. */
  readonly #elsewhereCertificates: Certificates | undefined;
  /** Where the server last sent us for a blob, by path. */
  readonly #elsewhere = new Map<string, URL>();
  #origin: Promise<URL> | undefined;

  constructor(dependencies: EndpointDependencies, endpoint: Endpoint, repository: string) {
    const { http, credentials, clock } = dependencies;
    this.endpoint = endpoint;
    this.#repository = repository;
    this.#http = http;
    this.#elsewhereCertificates = endpoint.certificates && withoutClient(endpoint.certificates);
    this.#authenticator = new Authenticator(
      { send: (request) => this.#sendTo(request), credentials, clock },
      { registry: endpoint.account, repository },
    );
  }

  /**
   * Sends a request once.
   *
   * @throws {CodedError} ERR_REGISTRY_DENIED for 401 and 403, ERR_SOURCE_UNAVAILABLE when the server is away or busy,
   *   ERR_REGISTRY_PROTOCOL for any other status that is not allowed, ERR_CREDENTIALS_INVALID, ERR_ABORTED, or what
   *   the streamed body throws.
   */
  async send(request: RegistryRequest): Promise<HttpResponse> {
    const { target, signal } = request;
    const remembered = await this.#sendElsewhere(request);
    if (remembered !== undefined) return remembered;
    const origin = await this.#findOrigin(signal);
    let response = await this.#sendAuthorized(
      request,
      typeof target === "string" ? this.#urlOf(target, origin) : target,
    );
    for (let count = 0; isRedirect(request.method, response.status); count++) {
      const next = locationOf(response);
      await response.drain();
      if (count >= MAX_REDIRECTS) {
        throw new CodedError("ERR_REGISTRY_PROTOCOL", `${request.what}: over ${MAX_REDIRECTS} redirects`);
      }
      response = await this.#sendAuthorized(request, next);
    }
    if (!request.allow.includes(response.status)) throw await registryError(response, request.what);
    if (response.isOk && response.url.origin !== origin.origin) this.#remember(request, response.url);
    return response;
  }

  /** Asks for a blob where the server sent us before, without credentials. */
  async #sendElsewhere(request: RegistryRequest): Promise<HttpResponse | undefined> {
    const { method, target, headers = {}, signal } = request;
    const url = method === "GET" && typeof target === "string" ? this.#elsewhere.get(target) : undefined;
    if (url === undefined) return undefined;
    try {
      const response = await this.#sendTo({ method, url, headers, signal });
      if ([200, 206, 416].includes(response.status)) return response;
      await response.drain();
    } catch (error) {
      if (!isCoded(error, "ERR_SOURCE_UNAVAILABLE")) throw error;
    }
    // Signed URLs expire and storage moves: the registry says where the blob is now.
    this.#elsewhere.delete(target as string);
    return undefined;
  }

  #remember({ method, target }: RegistryRequest, url: URL): void {
    if (method !== "GET" || typeof target !== "string" || !target.startsWith("blobs/")) return;
    for (const oldest of this.#elsewhere.keys()) {
      if (this.#elsewhere.size < MAX_REMEMBERED) break;
      this.#elsewhere.delete(oldest);
    }
    this.#elsewhere.set(target, url);
  }

  #urlOf(path: string, origin: URL): URL {
    const { path: base, namespace } = this.endpoint;
    const url = new URL(`${base}/${this.#repository}/${path}`, origin);
    if (namespace !== undefined) url.searchParams.set("ns", namespace);
    return url;
  }

  async #sendAuthorized(request: RegistryRequest, url: URL): Promise<HttpResponse> {
    const origin = await this.#findOrigin(request.signal);
    if (url.origin !== origin.origin) return this.#sendWith(request, url, {});
    const scopes = scopesOf(request, this.#repository);
    const authorization = this.#authenticator.headerFor(scopes);
    const response = await this.#sendWith(request, url, this.#ownHeaders(authorization));
    if (response.status !== 401) return response;
    const challenges = parseChallenges(response.header("www-authenticate"));
    const renewed = await orAborted(
      this.#authenticator.answer(challenges, scopes, authorization, url),
      request.signal,
    );
    if (renewed === undefined) return response;
    await response.drain();
    return this.#sendWith(request, url, this.#ownHeaders(renewed));
  }

  #ownHeaders(authorization: string | undefined): Record<string, string> {
    return { ...this.endpoint.headers, ...(authorization !== undefined && { authorization }) };
  }

  #sendWith(request: RegistryRequest, url: URL, own: Record<string, string>): Promise<HttpResponse> {
    const { method, headers, body, bodySize, answerTimeoutMs, signal } = request;
    return this.#sendTo({
      method,
      url,
      headers: { ...headers, ...own },
      ...(body !== undefined && { body: body() }),
      ...(bodySize !== undefined && { bodySize }),
      ...(answerTimeoutMs !== undefined && { answerTimeoutMs }),
      signal,
    });
  }

  #sendTo(request: HttpRequest): Promise<HttpResponse> {
    const { host } = this.endpoint;
    const isOwn = request.url.host === new URL(`${request.url.protocol}//${host}`).host;
    const certificates = isOwn ? this.endpoint.certificates : this.#elsewhereCertificates;
    return this.#http.send(certificates === undefined ? request : { ...request, certificates });
  }

  #findOrigin(signal: AbortSignal): Promise<URL> {
    this.#origin ??= this.#probeOrigin().catch((error: unknown) => {
      this.#origin = undefined;
      throw error;
    });
    return orAborted(this.#origin, signal);
  }

  async #probeOrigin(): Promise<URL> {
    const { scheme, host } = this.endpoint;
    if (scheme !== "either") return new URL(`${scheme}//${host}`);
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
    const url = new URL(`${this.endpoint.path}/`, origin);
    using response = await this.#sendTo({ method: "GET", url, signal });
    await response.drain();
    return response.status;
  }
}

/** Whether an answer sends the same request elsewhere: an upload goes on only where its method and body are kept. */
function isRedirect(method: HttpRequest["method"], status: number): boolean {
  const isRead = method === "GET" || method === "HEAD";
  return status === 307 || status === 308 || (isRead && [301, 302, 303].includes(status));
}
