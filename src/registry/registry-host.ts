import { DEFAULT_REGISTRY } from "../format/oci/reference.ts";

/** The host that answers for a registry: docker.io's API lives elsewhere. */
export function apiHostOf(registry: string): string {
  return registry === DEFAULT_REGISTRY ? "registry-1.docker.io" : registry;
}

/** True for names of this machine, where plain http reveals nothing to a network. */
export function isLoopback(registry: string): boolean {
  const host = new URL(`http://${registry}`).hostname;
  return (
    host === "localhost" ||
    host.endsWith(".localhost") ||
    host === "[::1]" ||
    /^127(?:\.\d{1,3}){3}$/.test(host)
  );
}
