import { createServer, request as httpRequest, type IncomingMessage, type Server } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";

/** A proxy that forwards http and opens tunnels, on a loopback port. */
export class ForwardProxy implements AsyncDisposable {
  /** `METHOD TARGET` of every request that came. */
  readonly seen: string[] = [];
  readonly authorizations: (string | undefined)[] = [];
  /** The answer to CONNECT, instead of a tunnel; 0 is no answer. */
  refuse?: number | undefined;
  /** Where tunnels lead, whatever their target: names of a test do not resolve. */
  leadsTo?: { readonly port: number } | undefined;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor() {
    this.#server = createServer((request, response) => {
      this.#note(request);
      const url = new URL(request.url ?? "");
      const target = this.leadsTo ?? { port: url.port };
      const options = {
        host: "127.0.0.1",
        port: target.port,
        path: url.pathname + url.search,
        method: request.method,
      };
      const forwarded = httpRequest({ ...options, headers: request.headers }, (answer) => {
        response.writeHead(answer.statusCode ?? 500, answer.headers);
        answer.pipe(response);
      });
      forwarded.on("error", () => response.destroy());
      request.pipe(forwarded);
    });
    this.#server.on("connect", (request: IncomingMessage, socket: Socket) => {
      this.#note(request);
      this.#sockets.add(socket);
      socket.on("error", () => undefined);
      if (this.refuse === 0) return;
      if (this.refuse !== undefined) {
        socket.end(`HTTP/1.1 ${this.refuse} No\r\ncontent-length: 6\r\n\r\nsecret`);
        return;
      }
      const port = this.leadsTo?.port ?? Number((request.url ?? "").split(":").at(-1));
      const onward = connect(port, "127.0.0.1", () => {
        socket.write("HTTP/1.1 200 OK\r\n\r\n");
        onward.pipe(socket).pipe(onward);
      });
      this.#sockets.add(onward);
      onward.on("error", () => socket.destroy());
    });
  }

  /** Starts a proxy. */
  static async start(): Promise<ForwardProxy> {
    const proxy = new ForwardProxy();
    await new Promise<void>((resolve) => proxy.#server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  /** `127.0.0.1:PORT`. */
  get host(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #note(request: IncomingMessage): void {
    this.seen.push(`${request.method} ${request.url}`);
    this.authorizations.push(request.headers["proxy-authorization"]);
  }
}
