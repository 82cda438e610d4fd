import type { IncomingMessage } from "node:http";
import { sha256Of } from "./made-image.ts";
import type { Reply, TestRegistry } from "./registry.ts";

/** The uploads of a test registry: in one piece, in several, and mounts. */
export class RegistryUploads {
  readonly #registry: TestRegistry;
  readonly #sessions = new Map<string, Buffer>();
  #count = 0;

  constructor(registry: TestRegistry) {
    this.#registry = registry;
  }

  async answer(
    method: string,
    name: string,
    url: URL,
    request: IncomingMessage,
    reply: Reply,
  ): Promise<void> {
    const { faults } = this.#registry;
    if (method === "POST") return this.#begin(name, url, reply);
    const size = Number(request.headers["content-length"] ?? 0);
    if (method === "PATCH" && size > faults.maxPatchSize) return reply(413, { connection: "close" });
    const id = url.pathname.slice(url.pathname.lastIndexOf("/") + 1);
    if (method === "GET" && faults.forgetUploads) this.#sessions.delete(id);
    if (method === "PATCH" && faults.refusePatch) return reply(405);
    const isElsewhere = url.searchParams.get("state") === "elsewhere";
    const had = this.#sessions.get(id) ?? (isElsewhere ? Buffer.alloc(0) : undefined);
    if (had === undefined) return reply(404, {}, '{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN"}]}');
    if (!["s3cr3t", "elsewhere"].includes(url.searchParams.get("state") ?? "")) return reply(400);
    const location = `${url.pathname}${url.search}`;
    if (method === "GET") return reply(204, { location, range: this.#rangeOf(had) });
    const from = /^(\d+)-/.exec(request.headers["content-range"] ?? "")?.[1] ?? had.length;
    if (method === "PATCH" && Number(from) !== had.length) return reply(416, { location });
    const bytes = await this.#receive(id, had, request);
    if (bytes === undefined) return;
    const failure = faults.failUploads.shift();
    if (failure !== undefined) return reply(failure);
    this.#sessions.set(id, bytes);
    if (method === "PATCH") return reply(202, { location, range: this.#rangeOf(bytes) });
    await new Promise((resolve) => setTimeout(resolve, faults.commitDelayMs));
    const digest = url.searchParams.get("digest");
    this.#sessions.delete(id);
    if (digest !== sha256Of(bytes)) return reply(400, {}, '{"errors":[{"code":"DIGEST_INVALID"}]}');
    this.#registry.blobs.set(`${name}@${digest}`, bytes);
    this.#registry.uploaded.push(`${name}@${digest}`);
    reply(201, { "docker-content-digest": digest });
  }

  async #begin(name: string, url: URL, reply: Reply): Promise<void> {
    const { faults, blobs } = this.#registry;
    const [mount, from] = [url.searchParams.get("mount"), url.searchParams.get("from")];
    if (mount !== null && faults.refuseMount !== undefined) return reply(faults.refuseMount);
    const blob = blobs.get(`${from}@${mount}`);
    if (blob !== undefined) {
      blobs.set(`${name}@${mount}`, blob);
      return reply(201, { location: `/v2/${name}/blobs/${mount}` });
    }
    const id = String(++this.#count);
    this.#sessions.set(id, Buffer.alloc(0));
    const { uploadTo } = faults;
    const state = uploadTo === undefined ? "s3cr3t" : "elsewhere";
    reply(202, { location: `${uploadTo ?? ""}/v2/${name}/blobs/uploads/${id}?state=${state}` });
  }

  /** The bytes of a session after a request; `undefined` when the connection was reset in the middle. */
  async #receive(id: string, had: Buffer, request: IncomingMessage): Promise<Buffer | undefined> {
    const resetAfter = this.#registry.faults.resetUploads.shift() ?? Infinity;
    const parts = [had];
    let size = 0;
    for await (const part of request) {
      const bytes = (part as Buffer).subarray(0, resetAfter - size);
      parts.push(bytes);
      size += bytes.length;
      if (size < resetAfter) continue;
      this.#sessions.set(id, Buffer.concat(parts));
      request.socket.resetAndDestroy();
      return undefined;
    }
    return Buffer.concat(parts);
  }

  #rangeOf(bytes: Buffer): string {
    return `0-${Math.max(0, bytes.length - 1) + (this.#registry.faults.uploadLies.shift() ?? 0)}`;
  }
}
