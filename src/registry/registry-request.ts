import type { HttpRequest } from "../net/http-client.ts";
import type { Need } from "./endpoint.ts";

/** One request to a repository. */
export interface RegistryRequest {
  readonly method: HttpRequest["method"];
  /** Path under `/v2/REPOSITORY/`, or a URL that the registry gave (an upload's Location). */
  readonly target: string | URL;
  readonly need: Need;
  /** Another repository of the registry that must be readable too, for a mount. @default none */
  readonly alsoPull?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Opened again when the request is sent again. */
  readonly body?: () => Uint8Array | AsyncIterable<Uint8Array>;
  /** Bytes of a streamed body. */
  readonly bodySize?: number;
  /** Statuses that are given back; every other one is thrown. */
  readonly allow: readonly number[];
  /** For messages: `manifest v1 of registry.example/app`. */
  readonly what: string;
  /** Milliseconds that the answer may take after the body was sent. @default those of the HTTP client */
  readonly answerTimeoutMs?: number;
  readonly signal: AbortSignal;
}

/** What a token must allow for a request, in the words of token servers. */
export function scopesOf(request: RegistryRequest, repository: string): readonly string[] {
  const { need, alsoPull } = request;
  const actions = need === "push" ? "pull,push" : "pull";
  const scopes = [`repository:${repository}:${actions}`];
  if (alsoPull !== undefined) scopes.push(`repository:${alsoPull}:pull`);
  return scopes;
}
