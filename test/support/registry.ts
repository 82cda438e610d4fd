import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { sha256Of } from "./made-image.ts";

/** What a test registry shall do wrong, or ask for. All may be changed while it runs. */
export interface Faults {
  /** Closes the connection after this many bytes of a blob, as often as `dropTimes` says. */
  dropAfter?: number | undefined;
  dropTimes: number;
  /** Statuses for the next requests, one each; those under `/token` and of the ping are spared. */
  failNext: number[];
  /** Statuses for the next uploads, after their bytes came. */
  failUploads: number[];
  /** Retry-After of those answers. */
  retryAfter?: string | undefined;
  /** Flips a bit in the middle of every blob it sends. */
  wrongBytes: boolean;
  ignoreRange: boolean;
  /** Blobs are sent once this is settled. */
  hold?: Promise<void> | undefined;
  /** Sends blobs by redirect to this origin, the answer of {@link TestRegistry.origin} of another one. */
  redirectTo?: string | undefined;
  /** Query of redirects; a blob request whose query is `expired` gets 403. */
  redirectQuery: string;
  /** What a request must show. The password is `secret`, the user `someone`. */
  require: "nothing" | "basic" | "bearer";
  /** `expires_in` of tokens. */
  tokenLifetimeS: number;
  /** Tokens given out before are refused. */
  revokeTokens: boolean;
  /** The Docker-Content-Digest of manifests, instead of the right one. */
  claimDigest?: string | undefined;
}

/** One request that came. */
export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly authorization: string | undefined;
  readonly range: string | undefined;
}

const NO_FAULTS: Faults = {
  dropTimes: 0,
  failNext: [],
  failUploads: [],
  wrongBytes: false,
  ignoreRange: false,
  redirectQuery: "?signature=s3cr3t",
  require: "nothing",
  tokenLifetimeS: 300,
  revokeTokens: false,
};

/** A small OCI registry in memory, on a loopback port. */
export class TestRegistry implements AsyncDisposable {
  readonly faults: Faults = { ...NO_FAULTS, failNext: [], failUploads: [] };
  readonly requests: SeenRequest[] = [];
  /** Bytes sent of each blob, by digest. */
  readonly bytesSent = new Map<string, number>();
  readonly blobs = new Map<string, Buffer>();
  readonly manifests = new Map<string, { mediaType: string; bytes: Buffer }>();
  /** The scope of every token asked for. */
  readonly scopes: string[] = [];
  readonly #server: Server;
  #tokens = 0;
  #uploads = 0;

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
    Object.assign(this.faults, { dropAfter: undefined, retryAfter: undefined, redirectTo: undefined });
    Object.assign(this.faults, { claimDigest: undefined, hold: undefined }, NO_FAULTS, {
      failNext: [],
      failUploads: [],
    });
    this.requests.length = 0;
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
    this.requests.push({ method, path: url.pathname, query: url.search, authorization, range });
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
    if (url.pathname.startsWith("/elsewhere/")) {
      if (url.search === "?expired") return reply(403);
      return this.#sendBlob(method, url.pathname.slice(11), range, response, reply);
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
    if (rest.startsWith("uploads/")) return this.#upload(method, name, url, request, reply);
    await this.faults.hold;
    const blob = this.blobs.get(`${name}@${rest}`);
    if (blob === undefined) return reply(404, {}, '{"errors":[{"code":"BLOB_UNKNOWN"}]}');
    const { redirectTo, redirectQuery } = this.faults;
    if (redirectTo !== undefined) {
      return reply(307, { location: `${redirectTo}/elsewhere/${name}@${rest}${redirectQuery}` });
    }
    return this.#sendBlob(method, `${name}@${rest}`, range, response, reply);
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
    reply(200, { "content-type": found.mediaType, "docker-content-digest": digest }, found.bytes);
  }

  async #upload(
    method: string,
    name: string,
    url: URL,
    request: IncomingMessage,
    reply: Reply,
  ): Promise<void> {
    if (method === "POST") {
      const [mount, from] = [url.searchParams.get("mount"), url.searchParams.get("from")];
      const blob = this.blobs.get(`${from}@${mount}`);
      if (blob !== undefined) {
        this.blobs.set(`${name}@${mount}`, blob);
        return reply(201, { location: `/v2/${name}/blobs/${mount}` });
      }
      return reply(202, { location: `/v2/${name}/blobs/uploads/${++this.#uploads}?state=s3cr3t` });
    }
    const bytes = await bodyOf(request);
    const digest = url.searchParams.get("digest");
    const failure = this.faults.failUploads.shift();
    if (failure !== undefined) return reply(failure);
    if (url.searchParams.get("state") !== "s3cr3t" || digest !== sha256Of(bytes)) {
      return reply(400, {}, '{"errors":[{"code":"DIGEST_INVALID"}]}');
    }
    this.blobs.set(`${name}@${digest}`, bytes);
    reply(201, { "docker-content-digest": digest });
  }

  #sendBlob(
    method: string,
    key: string,
    range: string | undefined,
    response: ServerResponse,
    reply: Reply,
  ): Promise<void> | void {
    const blob = this.blobs.get(key);
    if (blob === undefined) return reply(404);
    if (method === "HEAD") return reply(200, { "content-length": String(blob.length) });
    let bytes = blob;
    if (this.faults.wrongBytes) {
      bytes = Buffer.from(blob);
      const middle = bytes.length >> 1;
      bytes[middle] = (bytes[middle] ?? 0) ^ 1;
    }
    const asked = this.faults.ignoreRange ? null : /^bytes=(\d+)-(\d*)$/.exec(range ?? "");
    const start = asked === null ? 0 : Number(asked[1]);
    const end =
      asked === null || asked[2] === "" ? bytes.length : Math.min(bytes.length, Number(asked[2]) + 1);
    if (asked !== null && start >= bytes.length)
      return reply(416, { "content-range": `bytes */${bytes.length}` });
    const part = bytes.subarray(start, end);
    const headers: Record<string, string> = { "content-length": String(part.length) };
    if (asked !== null) headers["content-range"] = `bytes ${start}-${end - 1}/${bytes.length}`;
    response.writeHead(asked === null ? 200 : 206, headers);
    const digest = key.slice(key.indexOf("@") + 1);
    const { dropAfter } = this.faults;
    const isDropped = dropAfter !== undefined && this.faults.dropTimes > 0 && part.length > dropAfter;
    const sent = isDropped ? dropAfter : part.length;
    this.bytesSent.set(digest, (this.bytesSent.get(digest) ?? 0) + sent);
    if (!isDropped) {
      response.end(part);
      return;
    }
    this.faults.dropTimes--;
    response.write(part.subarray(0, dropAfter), () => response.destroy());
  }

  async #giveToken(request: IncomingMessage, url: URL, reply: Reply): Promise<void> {
    const form = new URLSearchParams((await bodyOf(request)).toString());
    this.scopes.push(form.get("scope") ?? url.searchParams.get("scope") ?? "");
    const isKnown =
      request.method === "POST"
        ? form.get("grant_type") === "refresh_token" && form.get("refresh_token") === "secret"
        : request.headers.authorization === BASIC;
    if (!isKnown) return reply(401, {}, '{"details":"incorrect username or password"}');
    this.faults.revokeTokens = false;
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
        return !this.faults.revokeTokens && authorization === `Bearer token-${this.#tokens}`;
    }
  }
}

type Reply = (status: number, headers?: Record<string, string>, body?: string | Buffer) => void;

const BASIC = `Basic ${Buffer.from("someone:secret").toString("base64")}`;

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts);
}
