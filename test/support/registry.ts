import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { sha256Of } from "./made-image.ts";
import { type Faults, noFaults } from "./registry-faults.ts";
import { RegistryUploads } from "./registry-uploads.ts";
import { sendBlob } from "./send-blob.ts";

/** One request that came. */
export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly authorization: string | undefined;
  readonly range: string | undefined;
  readonly contentRange: string | undefined;
  /** All headers, as they came. */
  readonly headers: IncomingMessage["headers"];
}

/** A small OCI registry in memory, on a loopback port. */
export class TestRegistry implements AsyncDisposable {
  readonly faults: Faults = noFaults();
  readonly requests: SeenRequest[] = [];
  /** Bytes sent of each blob, by digest. */
  readonly bytesSent = new Map<string, number>();
  readonly blobs = new Map<string, Buffer>();
  /** Keys of the blobs that were uploaded to their end, one for each time. */
  readonly uploaded: string[] = [];
  /** Called with every request before it is answered or its body is read; what it waits for, the request waits for. */
  onRequest: ((request: SeenRequest) => Promise<void> | void) | undefined;
  readonly manifests = new Map<string, { mediaType: string; bytes: Buffer }>();
  /** The scope of every token asked for. */
  readonly scopes: string[] = [];
  readonly uploads = new RegistryUploads(this);
  readonly #server: Server;
  #tokens = 0;
  #tokenUses = 0;

  private constructor() {
    this.#server = createServer((request, response) => {
      this.#answer(request, response).catch(() => response.destroy());
    });
  }

  /** Starts a registry. */
  static async start(): Promise<TestRegistry> {
    const registry = new TestRegistry();
    await new Promise<void>((resolve) => registry.#server.listen(0, "127.0.0.1", resolve));
    return registry;
  }

  /** `127.0.0.1:PORT`. */
  get host(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get origin(): string {
    return `http://${this.host}`;
  }

  /** Forgets faults and requests. */
  reset(): void {
    Object.assign(this.faults, noFaults());
    this.requests.length = 0;
    this.uploaded.length = 0;
    this.onRequest = undefined;
    this.scopes.length = 0;
    this.bytesSent.clear();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", this.origin);
    const method = request.method ?? "GET";
    const { authorization, range } = request.headers;
    const { headers } = request;
    const seen: SeenRequest = {
      method,
      path: url.pathname,
      query: url.search,
      authorization,
      range,
      contentRange: headers["content-range"],
      headers,
    };
    this.requests.push(seen);
    await this.onRequest?.(seen);
    const reply = (status: number, headers: Record<string, string> = {}, body?: string | Buffer): void => {
      response.writeHead(status, headers);
      response.end(body);
    };
    if (url.pathname === "/token") return this.#giveToken(request, url, reply);
    if (url.pathname === "/v2/") return reply(200);
    const failure = this.faults.failNext.shift();
    if (failure !== undefined) {
      const { retryAfter } = this.faults;
      return reply(
        failure,
        retryAfter === undefined ? {} : { "retry-after": retryAfter },
        '{"errors":[{"code":"BUSY"}]}',
      );
    }
    // An upload that another registry sent here: its query proves enough.
    if (url.searchParams.get("state") === "elsewhere") {
      const name = /^\/v2\/(.+)\/blobs\/uploads\//.exec(url.pathname)?.[1] ?? "";
      return this.uploads.answer(method, name, url, request, reply);
    }
    if (url.pathname.startsWith("/elsewhere/")) {
      if (url.search === "?expired") return reply(403);
      return sendBlob(this, method, url.pathname.slice(11), range, response, reply);
    }
    if (!this.#isAuthorized(authorization)) {
      const challenge =
        this.faults.require === "basic"
          ? 'Basic realm="test"'
          : `Bearer realm="${this.origin}/token",service="test, registry"`;
      return reply(401, { "www-authenticate": challenge }, '{"errors":[{"code":"UNAUTHORIZED"}]}');
    }
    const [, name = "", kind = "", rest = ""] =
      /^\/v2\/(.+)\/(manifests|blobs)\/(.*)$/.exec(url.pathname) ?? [];
    if (kind === "manifests") return this.#manifest(method, name, rest, request, reply);
    if (rest.startsWith("uploads/")) return this.uploads.answer(method, name, url, request, reply);
    await this.faults.hold;
    const blob = this.blobs.get(`${name}@${rest}`);
    if (blob === undefined) return reply(404, {}, '{"errors":[{"code":"BLOB_UNKNOWN"}]}');
    const { redirectTo, redirectQuery } = this.faults;
    if (redirectTo !== undefined) {
      return reply(307, { location: `${redirectTo}/elsewhere/${name}@${rest}${redirectQuery}` });
    }
    return sendBlob(this, method, `${name}@${rest}`, range, response, reply);
  }

  async #manifest(
    method: string,
    name: string,
    reference: string,
    request: IncomingMessage,
    reply: Reply,
  ): Promise<void> {
    if (method === "PUT") {
      const bytes = await bodyOf(request);
      const stored = { mediaType: request.headers["content-type"] ?? "", bytes };
      this.manifests.set(`${name}@${sha256Of(bytes)}`, stored);
      this.manifests.set(`${name}@${reference}`, stored);
      return reply(201, { "docker-content-digest": sha256Of(bytes) });
    }
    const found = this.manifests.get(`${name}@${reference}`);
    if (found === undefined) return reply(404, {}, '{"errors":[{"code":"MANIFEST_UNKNOWN"}]}');
    const digest = this.faults.claimDigest ?? sha256Of(found.bytes);
    const isDropped = this.faults.dropManifests > 0;
    if (isDropped) this.faults.dropManifests--;
    const headers = {
      "content-type": found.mediaType,
      "docker-content-digest": digest,
      "content-length": String(found.bytes.length),
    };
    if (!isDropped) return reply(200, headers, found.bytes);
    reply(200, { ...headers, connection: "close" }, found.bytes.subarray(0, 10));
    request.socket.end();
  }

  async #giveToken(request: IncomingMessage, url: URL, reply: Reply): Promise<void> {
    const form = new URLSearchParams((await bodyOf(request)).toString());
    this.scopes.push(form.get("scope") ?? url.searchParams.getAll("scope").join(" "));
    const failure = this.faults.failTokens.shift();
    const { retryAfter } = this.faults;
    if (failure !== undefined) {
      return reply(failure, retryAfter === undefined ? {} : { "retry-after": retryAfter });
    }
    const isKnown =
      request.method === "POST"
        ? form.get("grant_type") === "refresh_token" && form.get("refresh_token") === "secret"
        : request.headers.authorization === BASIC;
    if (!isKnown) return reply(401, {}, '{"details":"incorrect username or password"}');
    this.faults.revokeTokens = false;
    this.#tokenUses = 0;
    const token = `token-${++this.#tokens}`;
    const field = request.method === "POST" ? "access_token" : "token";
    reply(200, {}, JSON.stringify({ [field]: token, expires_in: this.faults.tokenLifetimeS }));
  }

  #isAuthorized(authorization: string | undefined): boolean {
    switch (this.faults.require) {
      case "nothing":
        return true;
      case "basic":
        return authorization === BASIC;
      case "bearer":
        if (this.#tokenUses++ >= this.faults.tokenUses) return false;
        return !this.faults.revokeTokens && authorization === `Bearer token-${this.#tokens}`;
    }
  }
}

/** Answers a request. */
export type Reply = (status: number, headers?: Record<string, string>, body?: string | Buffer) => void;

const BASIC = `Basic ${Buffer.from("someone:secret").toString("base64")}`;

/** All bytes of a request. */
export async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts);
}
