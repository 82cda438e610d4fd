import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** Passes connections on, and resets them after as many bytes towards the server as it is told. */
export class CuttingProxy implements AsyncDisposable {
  /** Bytes after which the next connections that get so far are reset, one each. */
  readonly cuts: number[] = [];
  /** How many were reset. */
  cutCount = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(port: number) {
    this.#server = createServer((socket) => {
      const onward = connect(port, "127.0.0.1");
      for (const each of [socket, onward]) {
        this.#sockets.add(each);
        each.on("error", () => undefined);
      }
      let size = 0;
      socket.on("data", (piece) => {
        size += piece.length;
        if (!onward.write(piece)) {
          socket.pause();
          onward.once("drain", () => socket.resume());
        }
        if (size < (this.cuts[0] ?? Infinity)) return;
        this.cuts.shift();
        this.cutCount++;
        socket.resetAndDestroy();
        onward.end();
      });
      socket.on("end", () => onward.end());
      onward.pipe(socket);
    });
  }

  /** Starts one before a server on this machine. */
  static async start(host: string): Promise<CuttingProxy> {
    const proxy = new CuttingProxy(Number(host.split(":").at(-1)));
    await new Promise<void>((resolve) => proxy.#server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  /** `127.0.0.1:PORT`. */
  get host(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
