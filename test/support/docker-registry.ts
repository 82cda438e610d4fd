import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { get as httpGet } from "node:http";
import { get as httpsGet, type RequestOptions } from "node:https";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Why tests with the real registry do not run here; `false` when they do. */
export const NO_DOCKER_REGISTRY: string | false = findProgram("docker-registry")
  ? false
  : "docker-registry is not installed";

/** True when a program of this name is on PATH. */
export function findProgram(name: string): boolean {
  return (process.env["PATH"] ?? "").split(":").some((directory) => existsSync(join(directory, name)));
}

/** What a {@link DockerRegistry} asks for. */
export interface DockerRegistryOptions {
  /** Files of its certificate and key. @default plain http */
  readonly tls?: { readonly certificateFile: string; readonly keyFile: string };
  /** Its `auth`, as docker-registry's configuration has it. @default anybody may do anything */
  readonly auth?: Readonly<Record<string, unknown>>;
}

/** Debian's docker-registry on a loopback port, with its files in a temporary directory. */
export class DockerRegistry implements AsyncDisposable {
  /** `127.0.0.1:PORT`. */
  readonly host: string;
  readonly #directory: string;
  readonly #process: ChildProcess;

  private constructor(host: string, directory: string, process: ChildProcess) {
    this.host = host;
    this.#directory = directory;
    this.#process = process;
  }

  /** Starts it and waits until it answers. */
  static async start(options: DockerRegistryOptions = {}): Promise<DockerRegistry> {
    const { tls, auth } = options;
    const directory = await mkdtemp(join(tmpdir(), "registry-"));
    const host = `127.0.0.1:${await freePort()}`;
    const config = {
      version: 0.1,
      log: { level: "error" },
      storage: { filesystem: { rootdirectory: join(directory, "files") }, delete: { enabled: true } },
      http: {
        addr: host,
        ...(tls !== undefined && { tls: { certificate: tls.certificateFile, key: tls.keyFile } }),
      },
      ...(auth !== undefined && { auth }),
    };
    const path = join(directory, "config.yml");
    await writeFile(path, JSON.stringify(config));
    const child = spawn("docker-registry", ["serve", path], { stdio: "ignore" });
    const registry = new DockerRegistry(host, directory, child);
    for (let attempt = 0; ; attempt++) {
      if (await answers(tls === undefined ? httpGet : httpsGet, host)) return registry;
      if (attempt >= 100 || child.exitCode !== null) {
        await registry[Symbol.asyncDispose]();
        throw new Error("docker-registry did not start");
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** The file that holds a blob or manifest. */
  fileOf(digest: string): string {
    const hex = digest.slice("sha256:".length);
    const folder = join(this.#directory, "files", "docker", "registry", "v2", "blobs", "sha256");
    return join(folder, hex.slice(0, 2), hex, "data");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      const ended = once(this.#process, "exit");
      this.#process.kill();
      await ended;
    }
    await rm(this.#directory, { recursive: true, force: true });
  }
}

function answers(get: typeof httpGet, host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const url = `${get === httpGet ? "http" : "https"}://${host}/v2/`;
    // Whoever starts it knows who answers.
    get(url, { agent: false, rejectUnauthorized: false } as RequestOptions, (answer) => {
      answer.resume();
      resolve(true);
    }).on("error", () => resolve(false));
  });
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}
