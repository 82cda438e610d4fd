import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import type { AddressInfo } from "node:net";

/** Answers as the registry mirror of Dragonfly's dfdaemon does; it holds the bytes itself. */
export class Dfdaemon implements AsyncDisposable {
  /** The headers of every request that came. */
  readonly seen: IncomingHttpHeaders[] = [];
  /** Answers in the place of bytes, one for each request. */
  readonly refusals: { readonly status: number; readonly headers: Record<string, string> }[] = [];
  readonly blobs = new Map<string, Uint8Array>();
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => {
      this.seen.push(request.headers);
      const refusal = this.refusals.shift();
      if (refusal !== undefined) {
        response.writeHead(refusal.status, refusal.headers).end();
        return;
      }
      const blob = this.blobs.get(
        /^\/v2\/.+\/blobs\/sha256:([0-9a-f]{64})$/.exec(request.url ?? "")?.[1] ?? "",
      );
      const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "") ?? [];
      const range = [Number(first), Number(last) + 1] as const;
      if (blob === undefined || first === undefined || range[0] >= blob.length) {
        response.writeHead(blob === undefined ? 404 : 416, { "x-dragonfly-error-type": "backend" }).end();
        return;
      }
      const part = blob.subarray(...range);
      const contentRange = `bytes ${range[0]}-${range[0] + part.length - 1}/${blob.length}`;
      response.writeHead(206, { "content-range": contentRange, "content-length": part.length }).end(part);
    });
  }

  static async start(): Promise<Dfdaemon> {
    const daemon = new Dfdaemon();
    await new Promise<void>((resolve) => daemon.#server.listen(0, "127.0.0.1", resolve));
    return daemon;
  }

  get address(): URL {
    return new URL(`http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
