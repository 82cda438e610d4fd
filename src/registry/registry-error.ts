import { CodedError } from "../base/errors.ts";
import type { HttpResponse } from "../net/http-response.ts";
import { redactUrl } from "../net/redact.ts";
import { parseRetryAfter, withRetryAfter } from "../net/retry.ts";

/** Bytes of an error's body that are read. */
const MAX_BODY_SIZE = 64 * 1024;
/** Characters of a server's message that are shown. */
const MAX_MESSAGE_LENGTH = 300;

/** Statuses after which the same request may succeed a moment later. */
export function isTransientStatus(status: number): boolean {
  return status === 408 || status === 429 || (status >= 500 && status !== 501 && status !== 505);
}

/** The coded error for an answer that is none of those its request allows; reads and drops its body. */
export async function registryError(response: HttpResponse, what: string): Promise<CodedError> {
  const { status } = response;
  const said = readMessage(await response.excerpt(MAX_BODY_SIZE));
  const message = `${what}: ${redactUrl(response.url)} answered ${status}${said === "" ? "" : ` (${said})`}`;
  if (isTransientStatus(status)) {
    const retryAfterMs = parseRetryAfter(response.header("retry-after"), Date.now());
    return withRetryAfter(new CodedError("ERR_SOURCE_UNAVAILABLE", message), retryAfterMs);
  }
  return new CodedError(
    status === 401 || status === 403 ? "ERR_REGISTRY_DENIED" : "ERR_REGISTRY_PROTOCOL",
    message,
  );
}

/** Codes and messages of the body that registries send, on one line and without control characters. */
function readMessage(body: string): string {
  let text = "";
  try {
    const { errors } = JSON.parse(body) as { errors?: { code?: unknown; message?: unknown }[] };
    text = (errors ?? []).map(({ code, message }) => `${code}: ${message}`).join("; ");
  } catch {
    // Proxies answer with pages of HTML: the status says enough.
  }
  return text.replace(/[^\x20-\x7e]+/g, " ").slice(0, MAX_MESSAGE_LENGTH);
}
