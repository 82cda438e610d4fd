import { type ChildProcess, spawn } from "node:child_process";
import type { DaemonMessage, SupervisorMessage } from "./supervisor-messages.ts";

/** How a daemon process is started. */
export interface DaemonProgram {
  /** File of the program. */
  readonly entry: string;
  readonly args: readonly string[];
  /** /dev/fuse, and the listening control socket when there is one. */
  readonly fds: { readonly fuse: number; readonly control: number | undefined };
}

/** What a daemon process has come to. */
export type DaemonPhase = "starting" | "loaded" | "taking" | "serving" | "leaving" | "gone";

/** One daemon process, a child of the supervisor. */
export class DaemonProcess {
  phase: DaemonPhase = "starting";
  /** When it last said anything, by the steady clock. */
  lastSignMs = performance.now();
  /** Where its program lies. */
  readonly entry: string;
  /** Resolves when the process is gone, with what ended it. */
  readonly gone: Promise<string>;
  readonly #child: ChildProcess;

  constructor(program: DaemonProgram, onMessage: (message: DaemonMessage) => void) {
    const { fuse, control } = program.fds;
    this.entry = program.entry;
    // LISTEN_FDS and NOTIFY_SOCKET are for the supervisor.
    const { LISTEN_FDS: _, LISTEN_PID: _2, LISTEN_FDNAMES: _3, NOTIFY_SOCKET: _4, ...env } = process.env;
    this.#child = spawn(process.execPath, [program.entry, ...program.args], {
      env,
      stdio: ["ignore", "inherit", "inherit", "ipc", fuse, ...(control === undefined ? [] : [control])],
    });
    this.#child.on("message", (message: DaemonMessage) => {
      this.lastSignMs = performance.now();
      onMessage(message);
    });
    this.gone = new Promise((resolve) => {
      const ended = (how: string): void => {
        this.phase = "gone";
        resolve(how);
      };
      this.#child.on("error", (error) => ended(error.message));
      this.#child.on("exit", (status, signal) => ended(signal ?? `exit status ${status}`));
    });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  send(message: SupervisorMessage): void {
    // A process that dies meanwhile is noticed by its end.
    if (this.#child.connected) this.#child.send(message, () => undefined);
  }

  kill(): void {
    if (this.phase !== "gone") this.#child.kill("SIGKILL");
  }
}
