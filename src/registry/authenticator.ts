import { CodedError, isCoded } from "../base/errors.ts";
import { decodeJsonObject, type JsonObject } from "../format/oci/json.ts";
import type { Clock } from "../net/clock.ts";
import type { HttpRequest } from "../net/http-client.ts";
import type { HttpResponse } from "../net/http-response.ts";
import { redactUrl } from "../net/redact.ts";
import { parseRetryAfter, withRetryAfter } from "../net/retry.ts";
import type { Challenge } from "./challenge.ts";
import type { CredentialSource, Credentials } from "./credentials.ts";
import { isTransientStatus } from "./registry-error.ts";

/** What an {@link Authenticator} works with. */
export interface AuthenticatorDependencies {
  /** Sends a request to the server it names, without credentials of ours. */
  readonly send: (request: HttpRequest) => Promise<HttpResponse>;
  readonly credentials: CredentialSource;
  readonly clock: Clock;
}

/** Bytes of a token server's answer that are read. */
const MAX_ANSWER_SIZE = 256 * 1024;
/** Characters of a token. */
const MAX_TOKEN_LENGTH = 128 * 1024;
/** Seconds a token lives when its server does not say. @see Docker token specification */
const DEFAULT_LIFETIME_S = 60;
const MAX_LIFETIME_S = 3600;
/** Milliseconds before its end from which a token is no longer used. */
const EXPIRY_MARGIN_MS = 10_000;
/** Milliseconds a token server may take. */
const TOKEN_TIMEOUT_MS = 30_000;
const CLIENT_ID = "nydus-toolkit";

interface Token {
  readonly header: string;
  readonly expiresAtMs: number;
}

/**
 * Proves to one registry that we may read or write one repository: anonymously, with Basic, or with
 * Bearer tokens from the server the registry names. Tokens are kept until they expire.
 */
export class Authenticator {
  readonly #send: AuthenticatorDependencies["send"];
  readonly #source: CredentialSource;
  readonly #clock: Clock;
  readonly #registry: string;
  readonly #repository: string;
  readonly #tokens = new Map<string, Token>();
  readonly #pending = new Map<string, Promise<string | undefined>>();
  #basic: string | undefined;

  constructor(
    dependencies: AuthenticatorDependencies,
    options: { readonly registry: string; readonly repository: string },
  ) {
    this.#send = dependencies.send;
    this.#source = dependencies.credentials;
    this.#clock = dependencies.clock;
    this.#registry = options.registry;
    this.#repository = options.repository;
  }

  /** The Authorization header that served these scopes before, while it is good. */
  headerFor(scopes: readonly string[]): string | undefined {
    const scope = scopes.join(" ");
    const token = this.#tokens.get(scope);
    if (token === undefined) return this.#basic;
    if (this.#clock.now() < token.expiresAtMs - EXPIRY_MARGIN_MS) return token.header;
    this.#tokens.delete(scope);
    return undefined;
  }

  /**
   * A new Authorization header after a 401. Calls for the same scopes at the same time share one token
   * request, which no caller's signal interrupts.
   *
   * @param refused The header that got the 401.
   * @param url Where the 401 came from: over https no secret goes to a token server over http.
   * @returns `undefined` when there is nothing (else) to try.
   * @throws {CodedError} ERR_CREDENTIALS_INVALID, ERR_REGISTRY_DENIED when the token server refuses,
   *   ERR_REGISTRY_PROTOCOL, ERR_SOURCE_UNAVAILABLE.
   */
  answer(
    challenges: readonly Challenge[],
    scopes: readonly string[],
    refused: string | undefined,
    url: URL,
  ): Promise<string | undefined> {
    const known = this.headerFor(scopes);
    const scope = scopes.join(" ");
    // Somebody else renewed it while our request was on its way.
    if (known !== undefined && known !== refused) return Promise.resolve(known);
    const pending = this.#pending.get(scope);
    if (pending !== undefined) return pending;
    const asking = this.#ask(challenges, scopes, refused, url).finally(() => this.#pending.delete(scope));
    this.#pending.set(scope, asking);
    return asking;
  }

  async #ask(
    challenges: readonly Challenge[],
    scopes: readonly string[],
    refused: string | undefined,
    url: URL,
  ): Promise<string | undefined> {
    const credentials = await this.#source.find(this.#registry, this.#repository);
    const bearer = challenges.find(({ scheme }) => scheme === "bearer");
    if (bearer !== undefined) {
      const token = await this.#fetchToken(bearer, scopes, credentials, url).catch((error: unknown) => {
        if (!isCoded(error, "ERR_ABORTED")) throw error;
        throw new CodedError("ERR_SOURCE_UNAVAILABLE", `no token within ${TOKEN_TIMEOUT_MS} ms`, {
          cause: error,
        });
      });
      this.#tokens.set(scopes.join(" "), token);
      return token.header;
    }
    const hasBasic = challenges.some(({ scheme }) => scheme === "basic");
    if (!hasBasic || credentials?.kind !== "password") return undefined;
    const header = basicHeader(credentials.username, credentials.password);
    if (header === refused) return undefined;
    this.#basic = header;
    return header;
  }

  async #fetchToken(
    challenge: Challenge,
    scopes: readonly string[],
    credentials: Credentials | undefined,
    from: URL,
  ): Promise<Token> {
    const realm = realmUrl(challenge, from);
    const service = challenge.parameters.get("service");
    const signal = AbortSignal.timeout(TOKEN_TIMEOUT_MS);
    const fields: Record<string, string> = service === undefined ? {} : { service };
    using response =
      credentials?.kind === "identity-token"
        ? await this.#send({
            method: "POST",
            url: realm,
            headers: { "content-type": "application/x-www-form-urlencoded" },
            body: Buffer.from(
              new URLSearchParams({
                grant_type: "refresh_token",
                refresh_token: credentials.token,
                client_id: CLIENT_ID,
                ...fields,
                scope: scopes.join(" "),
              }).toString(),
            ),
            signal,
          })
        : await this.#send({
            method: "GET",
            url: withQuery(realm, fields, scopes),
            headers:
              credentials === undefined
                ? {}
                : { authorization: basicHeader(credentials.username, credentials.password) },
            signal,
          });
    const where = `token server ${redactUrl(realm)}`;
    if (!response.isOk) {
      await response.drain();
      if (!isTransientStatus(response.status)) {
        throw new CodedError(
          "ERR_REGISTRY_DENIED",
          `${where} answered ${response.status} for ${scopes.join(" ")}`,
        );
      }
      const busy = new CodedError("ERR_SOURCE_UNAVAILABLE", `${where} answered ${response.status}`);
      throw withRetryAfter(busy, parseRetryAfter(response.header("retry-after"), Date.now()));
    }
    const answer = readAnswer(await response.bytes(MAX_ANSWER_SIZE), where);
    return { header: `Bearer ${answer.token}`, expiresAtMs: this.#clock.now() + answer.lifetimeS * 1000 };
  }
}

function readAnswer(bytes: Uint8Array, where: string): { token: string; lifetimeS: number } {
  let document: JsonObject;
  try {
    document = decodeJsonObject(bytes, where, MAX_ANSWER_SIZE);
  } catch {
    throw new CodedError("ERR_REGISTRY_PROTOCOL", `${where} did not answer with a JSON object`);
  }
  const { token, access_token, expires_in } = document;
  const text = token || access_token;
  // It becomes a header: a line break in it would become another one.
  if (typeof text !== "string" || text.length > MAX_TOKEN_LENGTH || !/^[\x21-\x7e]+$/.test(text)) {
    throw new CodedError("ERR_REGISTRY_PROTOCOL", `${where} gave no usable token`);
  }
  const lifetime = typeof expires_in === "number" && expires_in > 0 ? expires_in : DEFAULT_LIFETIME_S;
  return { token: text, lifetimeS: Math.min(MAX_LIFETIME_S, Math.max(DEFAULT_LIFETIME_S, lifetime)) };
}

function realmUrl(challenge: Challenge, from: URL): URL {
  const realm = challenge.parameters.get("realm") ?? "";
  const url = URL.canParse(realm) ? new URL(realm) : undefined;
  if (url === undefined || (url.protocol !== "https:" && url.protocol !== "http:")) {
    throw new CodedError(
      "ERR_REGISTRY_PROTOCOL",
      `${from.host} names no token server in its WWW-Authenticate header`,
    );
  }
  if (from.protocol === "https:" && url.protocol !== "https:") {
    throw new CodedError(
      "ERR_REGISTRY_PROTOCOL",
      `${from.host} names the token server ${redactUrl(url)} without TLS`,
    );
  }
  url.username = "";
  url.password = "";
  return url;
}

function withQuery(realm: URL, fields: Readonly<Record<string, string>>, scopes: readonly string[]): URL {
  const url = new URL(realm);
  for (const [name, value] of Object.entries(fields)) url.searchParams.set(name, value);
  url.searchParams.delete("scope");
  for (const scope of scopes) url.searchParams.append("scope", scope);
  return url;
}

function basicHeader(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`, "utf8").toString("base64")}`;
}
