import type { Certificates } from "../net/certificates.ts";
import { apiHostOf, isLoopback } from "./registry-host.ts";

/** What a server is asked for: blobs and manifests by digest, manifests by tag, or to store something. */
export type Need = "pull" | "resolve" | "push";

/** One server that answers for a registry: the registry itself, or a mirror of it. */
export interface Endpoint {
  /** The registry whose credentials it gets. */
  readonly account: string;
  /** `HOST` or `HOST:PORT`. */
  readonly host: string;
  /** `either` asks which one the server speaks, which only a server on this machine is asked. */
  readonly scheme: "http:" | "https:" | "either";
  /** Path of the API, without a slash at its end: `/v2`. */
  readonly path: string;
  readonly needs: readonly Need[];
  /** The registry it answers for, which it is told as `?ns=`. @default none: it is the registry */
  readonly namespace?: string;
  /** @default those of the HTTP client */
  readonly certificates?: Certificates;
  /** Sent with every request to this host. */
  readonly headers: Readonly<Record<string, string>>;
}

/** Finds the servers for a registry. */
export interface EndpointSource {
  /**
   * At least one, in the order in which they are asked.
   *
   * @throws {CodedError} ERR_OPTION_INVALID when their configuration is wrong.
   */
  find(registry: string): Promise<readonly Endpoint[]>;
}

/** The registry itself, as nothing else is said about it. */
export function registryEndpoint(registry: string, plainHttp: boolean): Endpoint {
  const host = apiHostOf(registry);
  return {
    account: registry,
    host,
    scheme: plainHttp ? "http:" : isLoopback(host) ? "either" : "https:",
    path: "/v2",
    needs: ["pull", "resolve", "push"],
    headers: {},
  };
}
