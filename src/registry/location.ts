import { CodedError } from "../base/errors.ts";
import type { HttpResponse } from "../net/http-response.ts";
import { redactUrl } from "../net/redact.ts";

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
