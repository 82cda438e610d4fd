import { BlockList, isIP } from "node:net";
import { CodedError } from "../base/errors.ts";

/** The proxy for a URL; `undefined` to reach its server directly. */
export type ProxyChoice = (url: URL) => URL | undefined;

/** What is exempt from a proxy. */
interface Exemption {
  matches(host: string, port: number): boolean;
}

/**
 * The proxies that the environment names, read as Go's programs (docker, containerd, nydusd's helpers) read it:
 * HTTP_PROXY for http, HTTPS_PROXY for https, in capitals or not, and NO_PROXY with names (that cover their
 * subdomains), `.suffixes`, addresses and CIDR, each with a port or without, or `*`. This machine is never reached
 * through a proxy.
 *
 * @throws {CodedError} ERR_OPTION_INVALID for a proxy that is neither http nor https. The message does not show the
 *   URL, which may carry a password.
 * @see golang.org/x/net/http/httpproxy
 */
export function proxiesOf(environment: Readonly<Record<string, string | undefined>>): ProxyChoice {
  const find = (name: string): string => environment[name] || environment[name.toLowerCase()] || "";
  const proxies: Readonly<Record<string, URL | undefined>> = {
    "http:": parseProxy("HTTP_PROXY", find("HTTP_PROXY")),
    "https:": parseProxy("HTTPS_PROXY", find("HTTPS_PROXY")),
  };
  const exemptions = find("NO_PROXY").split(",").map(parseExemption);
  return (url) => {
    const proxy = proxies[url.protocol];
    if (proxy === undefined) return undefined;
    const host = url.hostname.replace(/^\[|\]$/g, "").replace(/\.$/, "");
    const port = Number(url.port || (url.protocol === "https:" ? 443 : 80));
    if (host === "localhost" || isLoopbackAddress(host)) return undefined;
    return exemptions.some((exemption) => exemption.matches(host, port)) ? undefined : proxy;
  };
}

/** The value of Proxy-Authorization for a proxy; `undefined` when its URL carries no user. */
export function proxyAuthorization({ username, password }: URL): string | undefined {
  if (username === "" && password === "") return undefined;
  const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return `Basic ${Buffer.from(pair, "utf8").toString("base64")}`;
}

function parseProxy(name: string, text: string): URL | undefined {
  if (text === "") return undefined;
  const full = text.includes("://") ? text : `http://${text}`;
  const url = URL.canParse(full) ? new URL(full) : undefined;
  if (url === undefined || (url.protocol !== "http:" && url.protocol !== "https:")) {
    throw new CodedError("ERR_OPTION_INVALID", `${name} is not the URL of an http or https proxy`);
  }
  return url;
}

function parseExemption(text: string): Exemption {
  const word = text.trim().toLowerCase();
  if (word === "") return { matches: () => false };
  if (word === "*") return { matches: () => true };
  const network = parseNetwork(word);
  if (network !== undefined) return { matches: (host) => isInside(network, host) };
  const [, name = "", digits] = /^(.*?)(?::(\d{1,5}))?$/.exec(isIP(word) === 6 ? `[${word}]` : word) ?? [];
  const onPort = (port: number): boolean => digits === undefined || Number(digits) === port;
  const bare = name.replace(/^\[|\]$/g, "");
  if (isIP(bare) !== 0) {
    const address = new BlockList();
    address.addAddress(bare, familyOf(bare));
    return { matches: (host, port) => onPort(port) && isInside(address, host) };
  }
  const suffix = bare.replace(/^\*?\./, "");
  const coversItself = suffix === bare;
  return {
    matches: (host, port) =>
      onPort(port) && (host.endsWith(`.${suffix}`) || (coversItself && host === suffix)),
  };
}

function parseNetwork(word: string): BlockList | undefined {
  const [, address = "", prefix] = /^([^/]+)\/(\d{1,3})$/.exec(word) ?? [];
  const version = isIP(address);
  if (version === 0 || Number(prefix) > (version === 4 ? 32 : 128)) return undefined;
  const network = new BlockList();
  network.addSubnet(address, Number(prefix), familyOf(address));
  return network;
}

function isInside(addresses: BlockList, host: string): boolean {
  return isIP(host) !== 0 && addresses.check(host, familyOf(host));
}

function isLoopbackAddress(host: string): boolean {
  return host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
}

function familyOf(address: string): "ipv4" | "ipv6" {
  return isIP(address) === 6 ? "ipv6" : "ipv4";
}
