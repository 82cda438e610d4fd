import { request as httpRequest } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { CodedError, ERRORS, type ErrorCode } from "../base/errors.ts";
import type {
  CacheReply,
  CredentialsRequest,
  EventsReply,
  MountReply,
  MountRequest,
  PrefetchRequest,
  StatusReply,
} from "./control-messages.ts";

/** Bytes of an answer that are read. */
const MAX_ANSWER_SIZE = 64 * 2 ** 20;
/** Milliseconds in which a daemon that is being replaced must answer again. */
const CONNECT_TIMEOUT_MS = 10_000;
const CONNECT_INTERVAL_MS = 50;

/** Talks to a node daemon over its control socket. Every call throws what the daemon answers, as a CodedError. */
export class ControlClient {
  readonly #socket: string;
  readonly #connectTimeoutMs: number;

  /** @param connectTimeoutMs How long a socket may be without a daemon behind it. @default 10000 */
  constructor(socket: string, connectTimeoutMs = CONNECT_TIMEOUT_MS) {
    this.#socket = socket;
    this.#connectTimeoutMs = connectTimeoutMs;
  }

  mount(request: MountRequest, signal: AbortSignal): Promise<MountReply> {
    return this.#call("POST", "/v1/mounts", signal, request);
  }

  unmount(mountpoint: string, signal: AbortSignal): Promise<void> {
    return this.#call("DELETE", `/v1/mounts?mountpoint=${encodeURIComponent(mountpoint)}`, signal);
  }

  status(signal: AbortSignal): Promise<StatusReply> {
    return this.#call("GET", "/v1/status", signal);
  }

  /** Returns when the prefetch has begun. */
  prefetch(request: PrefetchRequest, signal: AbortSignal): Promise<void> {
    return this.#call("POST", "/v1/prefetch", signal, request);
  }

  cache(signal: AbortSignal): Promise<CacheReply> {
    return this.#call("GET", "/v1/cache", signal);
  }

  events(signal: AbortSignal): Promise<EventsReply> {
    return this.#call("GET", "/v1/events", signal);
  }

  /** Returns when the successor has been asked for; {@link StatusReply} `generation` tells when it serves. */
  upgrade(signal: AbortSignal): Promise<void> {
    return this.#call("POST", "/v1/upgrade", signal);
  }

  reload(signal: AbortSignal): Promise<void> {
    return this.#call("POST", "/v1/reload", signal);
  }

  setCredentials(request: CredentialsRequest, signal: AbortSignal): Promise<void> {
    return this.#call("PUT", "/v1/credentials", signal, request);
  }

  async #call<Reply>(method: string, path: string, signal: AbortSignal, body?: object): Promise<Reply> {
    const end = performance.now() + this.#connectTimeoutMs;
    for (;;) {
      try {
        return readReply<Reply>(await this.#send(method, path, signal, body));
      } catch (cause) {
        if (cause instanceof CodedError) throw cause;
        if (signal.aborted) throw new CodedError("ERR_ABORTED", "interrupted", { cause });
        const { code } = cause as NodeJS.ErrnoException;
        // A socket without anybody behind it: the daemon is being replaced. Nothing was sent.
        if (code !== "ECONNREFUSED" || performance.now() > end) {
          throw new CodedError("ERR_DAEMON_UNAVAILABLE", `no daemon answers at ${this.#socket}`, { cause });
        }
        await delay(CONNECT_INTERVAL_MS);
      }
    }
  }

  #send(method: string, path: string, signal: AbortSignal, body?: object): Promise<Answer> {
    const text = body === undefined ? "" : JSON.stringify(body);
    return new Promise((resolve, reject) => {
      const outgoing = httpRequest({
        socketPath: this.#socket,
        method,
        path,
        signal,
        agent: false,
        headers: { "content-length": Buffer.byteLength(text), "content-type": "application/json" },
      });
      outgoing.on("error", reject);
      outgoing.on("response", (response) => {
        const parts: Buffer[] = [];
        let size = 0;
        response.on("data", (part: Buffer) => {
          size += part.length;
          if (size > MAX_ANSWER_SIZE) response.destroy(new Error(`answer of over ${MAX_ANSWER_SIZE} bytes`));
          else parts.push(part);
        });
        response.on("error", reject);
        response.on("end", () => resolve({ status: response.statusCode ?? 0, bytes: Buffer.concat(parts) }));
      });
      outgoing.end(text);
    });
  }
}

interface Answer {
  readonly status: number;
  readonly bytes: Buffer;
}

function readReply<Reply>({ status, bytes }: Answer): Reply {
  const document = parseAnswer(bytes);
  if (status < 400) return document as Reply;
  const { error } = (document ?? {}) as { error?: { code?: string; message?: string } };
  const message = error?.message ?? `the daemon answered ${status}`;
  const code = error?.code ?? "";
  if (Object.hasOwn(ERRORS, code)) throw new CodedError(code as ErrorCode, message);
  throw new CodedError("ERR_DAEMON_UNAVAILABLE", `the daemon answered ${status}: ${message}`);
}

function parseAnswer(bytes: Buffer): unknown {
  if (bytes.length === 0) return undefined;
  try {
    return JSON.parse(bytes.toString("utf8"));
  } catch {
    throw new CodedError("ERR_DAEMON_UNAVAILABLE", "what answers is no daemon");
  }
}
