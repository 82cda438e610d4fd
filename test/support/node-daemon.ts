import { type ChildProcess, spawn } from "node:child_process";
import { once, setMaxListeners } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { isCoded } from "#src/base/errors.js";
import { ControlClient } from "#src/node/control-client.js";
import type { MountReply, MountRequest, StatusReply } from "#src/node/control-messages.js";
import { ROOT } from "./fixtures.ts";
import { shell } from "./mounted-image.ts";

/** Milliseconds in which a daemon must have done what a test waits for; this machine may be busy. */
const PATIENCE_MS = 30_000;

const { signal } = new AbortController();
// A test makes many calls at once.
setMaxListeners(0, signal);

/** `nydus-daemon` as a user would start it, with everything in a temporary folder. */
export class NodeDaemon implements AsyncDisposable {
  readonly path = mkdtempSync(join(tmpdir(), "nydus-node-"));
  readonly config = join(this.path, "daemon.toml");
  readonly state = join(this.path, "state");
  readonly cache = join(this.path, "cache");
  readonly socket = join(this.path, "socket");
  readonly client = new ControlClient(this.socket, PATIENCE_MS);
  /** Everything that the processes said. */
  log = "";
  #supervisor: ChildProcess | undefined;
  #mounts = 0;

  /** @param settings Lines of the configuration, before its tables. */
  constructor(settings = "") {
    const paths = `stateDirectory = "${this.state}"\ncacheDirectory = "${this.cache}"\nsocket = "${this.socket}"\n`;
    writeFileSync(this.config, `workers = 2\n${paths}${settings}`);
  }

  /** Starts the supervisor and waits until its daemon answers. */
  async start(environment: Readonly<Record<string, string>> = {}): Promise<StatusReply> {
    const program = join(ROOT, "dist", "cli", "nydus-daemon.js");
    const { PATH = "" } = process.env;
    const child = spawn(process.execPath, [program, "--config", this.config], {
      env: { PATH, HOME: "/nonexistent", ...environment },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#supervisor = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        this.log += text;
      });
    }
    return this.until(() =>
      this.client.status(signal).then((status) => status.supervisorPid === child.pid && status),
    );
  }

  get supervisorPid(): number {
    return this.#supervisor?.pid ?? 0;
  }

  /** Process id of the daemon that answers. */
  async daemonPid(): Promise<number> {
    return (await this.client.status(signal)).pid;
  }

  /** A new empty folder. */
  newMountpoint(): string {
    const mountpoint = join(this.path, `mnt-${this.#mounts++}`);
    mkdirSync(mountpoint);
    return mountpoint;
  }

  mount(request: Omit<MountRequest, "mountpoint">, mountpoint = this.newMountpoint()): Promise<MountReply> {
    return this.client.mount({ mountpoint, ...request }, signal);
  }

  unmount(mountpoint: string): Promise<void> {
    return this.client.unmount(mountpoint, signal);
  }

  status(): Promise<StatusReply> {
    return this.client.status(signal);
  }

  /** Kills the daemon process, not its supervisor, and gives the pid it had. */
  async killDaemon(): Promise<number> {
    const pid = await this.daemonPid();
    process.kill(pid, "SIGKILL");
    return pid;
  }

  /** Waits until another daemon process than this one answers. */
  successorOf(pid: number): Promise<StatusReply> {
    return this.until(() => this.client.status(signal).then((status) => status.pid !== pid && status));
  }

  /** Sends the supervisor a signal and waits for its end. */
  async stop(how: NodeJS.Signals = "SIGTERM"): Promise<number | null> {
    const child = this.#supervisor;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return null;
    const ended = once(child, "exit");
    child.kill(how);
    const [status] = (await ended) as [number | null];
    return status;
  }

  /** Tries again until the answer is something. */
  async until<Result>(ask: () => Promise<Result | false | undefined>): Promise<Result> {
    const end = performance.now() + PATIENCE_MS;
    for (;;) {
      const answer = await ask().catch((error: unknown) => {
        if (!isCoded(error)) throw error;
        return undefined;
      });
      if (answer !== undefined && answer !== false) return answer;
      if (performance.now() > end) throw new Error(`nothing came in ${PATIENCE_MS} ms; the log: ${this.log}`);
      await delay(20);
    }
  }

  /** Rows of the mount table below the folder. */
  mountTable(): string[] {
    return readFileSync("/proc/self/mountinfo", "utf8")
      .split("\n")
      .filter((row) => row.includes(` ${this.path}/`));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await this.stop("SIGKILL");
    for (const row of this.mountTable().reverse()) {
      await shell(`umount -i -c -l '${row.split(" ")[4]}'`);
    }
    rmSync(this.path, { recursive: true });
  }
}
