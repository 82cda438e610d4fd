import { closeSync } from "node:fs";
import { DaemonProcess } from "./daemon-process.ts";
import { EventLog } from "./event-log.ts";
import {
  abortConnection,
  closeConnection,
  findConnection,
  type NodeConnection,
  openConnection,
} from "./node-connection.ts";
import type { DaemonMessage } from "./supervisor-messages.ts";
import { CONTROL_SOCKET, STORED_FUSE, type Systemd } from "./systemd.ts";

/** Waits before a daemon that died while it started is started again; the last one is repeated. */
const RESTART_DELAYS_MS = [0, 100, 300, 1000, 3000, 5000] as const;

/** Milliseconds in which a daemon that was asked to leave must have left. */
const LEAVE_TIMEOUT_MS = 10_000;
/** Milliseconds in which all mounts must be taken away and the daemon gone at the end. */
const STOP_TIMEOUT_MS = 60_000;

/** A daemon that gives no sign for this long has lost its wits: readers are better off with its successor. */
const SILENCE_LIMIT_MS = 30_000;
const PING_INTERVAL_MS = 5000;

/** What a supervisor runs. */
export interface SupervisorOptions {
  /** File of the daemon's program; an upgrade may name another one. */
  readonly entry: string;
  readonly args: readonly string[];
  /** Where the node's FUSE filesystem is mounted: an existing directory, absolute, without symbolic links. */
  readonly mountDirectory: string;
  /** Milliseconds after the death of a daemon in which a successor must serve; then readers get an error. */
  readonly takeoverDeadlineMs: number;
  readonly systemd: Systemd;
}

/**
 * Holds the FUSE filesystem of a node and keeps one daemon process behind it. While no daemon answers readers wait in
 * the kernel, at most `takeoverDeadlineMs`: then the connection is aborted and they get an error.
 *
 * Small on purpose: it reads nothing from outside but what its own children say.
 */
export class Supervisor {
  /** Resolves when the supervisor has stopped; rejects with ERR_MOUNT_FAILED when it can mount no more. */
  readonly ended: Promise<void>;
  readonly #options: SupervisorOptions;
  readonly #log = new EventLog();
  readonly #controlFd: number | undefined;
  #connection: NodeConnection;
  /** Whether somebody has answered on this connection. */
  #isServed: boolean;
  #canResend = true;
  /** The one that answers requests, or is about to. */
  #current: DaemonProcess | undefined;
  /** The one that gets ready to take over. */
  #next: DaemonProcess | undefined;
  #entry: string;
  /** Credentials that came over the control socket; kept here so that they outlive a daemon. */
  #secrets: string | undefined;
  #generation = 0;
  #takeovers = 0;
  #failures = 0;
  #deadline: NodeJS.Timeout | undefined;
  #restart: NodeJS.Timeout | undefined;
  readonly #watchdog: NodeJS.Timeout;
  #isStopping = false;
  #resolveEnded: () => void = () => undefined;
  #rejectEnded: (error: unknown) => void = () => undefined;

  private constructor(options: SupervisorOptions, connection: NodeConnection, isServed: boolean) {
    this.#options = options;
    this.#connection = connection;
    this.#isServed = isServed;
    this.#entry = options.entry;
    this.#controlFd = options.systemd.fds.get(CONTROL_SOCKET);
    this.#watchdog = setInterval(() => this.#watch(), PING_INTERVAL_MS);
    this.ended = new Promise((resolve, reject) => {
      this.#resolveEnded = resolve;
      this.#rejectEnded = reject;
    });
  }

  /**
   * Takes the FUSE filesystem that systemd has kept, or mounts a new one, and starts a daemon.
   *
   * @throws {CodedError} ERR_ADDON_MISSING, ERR_MOUNT_FAILED.
   */
  static async start(options: SupervisorOptions): Promise<Supervisor> {
    const kept = options.systemd.fds.get(STORED_FUSE);
    const number = kept === undefined ? undefined : findConnection(options.mountDirectory);
    const isKept = kept !== undefined && number !== undefined;
    const connection = isKept ? { fd: kept, number } : await openConnection(options.mountDirectory);
    const supervisor = new Supervisor(options, connection, isKept);
    supervisor.#log.add("supervisor.started", { connection: connection.number, isKept });
    if (isKept) supervisor.#startDeadline();
    else supervisor.#storeConnection();
    supervisor.#startNext();
    return supervisor;
  }

  /** Starts a successor, which takes over once it has loaded everything; a failed start leaves things as they are. */
  upgrade(): void {
    if (this.#current === undefined || this.#next !== undefined || this.#isStopping) return;
    this.#current.send({ type: "prepare-upgrade" });
  }

  /** Lets the daemon read its configuration and credentials again. */
  reload(): void {
    for (const daemon of [this.#current, this.#next]) daemon?.send({ type: "reload" });
  }

  /**
   * Stops the daemon and this. With systemd's store mounts stay and readers wait for the next start; without it the
   * mounts are taken away.
   */
  async stop(): Promise<void> {
    if (this.#isStopping) return;
    this.#isStopping = true;
    const { systemd, mountDirectory } = this.#options;
    systemd.notify("STOPPING=1");
    clearTimeout(this.#restart);
    this.#next?.kill();
    const { hasFdStore } = systemd;
    if (this.#current !== undefined) await dismiss(this.#current, !hasFdStore, STOP_TIMEOUT_MS);
    clearTimeout(this.#deadline);
    clearInterval(this.#watchdog);
    closeSync(this.#connection.fd);
    if (!hasFdStore) await closeConnection(mountDirectory);
    this.#log.add("supervisor.stopped", { mountsStay: hasFdStore });
    this.#resolveEnded();
  }

  #startNext(): void {
    this.#generation++;
    const { number: connection, fd } = this.#connection;
    const daemon = new DaemonProcess(
      { entry: this.#entry, args: this.#options.args, fds: { fuse: fd, control: this.#controlFd } },
      (message) => this.#hear(daemon, message),
    );
    this.#next = daemon;
    daemon.send({
      type: "start",
      generation: this.#generation,
      takeovers: this.#takeovers,
      connection,
      mountDirectory: this.#options.mountDirectory,
      secrets: this.#secrets,
      hasControlSocket: this.#controlFd !== undefined,
      events: this.#log.events,
    });
    void daemon.gone.then((how) => this.#bury(daemon, how));
  }

  #hear(daemon: DaemonProcess, message: DaemonMessage): void {
    switch (message.type) {
      case "loaded":
        daemon.phase = "loaded";
        void this.#handOver(daemon);
        break;
      case "serving":
        this.#served(daemon, message.canResend);
        break;
      case "upgrade":
        this.#startUpgrade(daemon, message.entry);
        break;
      case "secrets":
        this.#secrets = message.secrets;
        break;
      case "event":
        this.#log.keep(message.event);
        break;
      case "pong":
        break;
    }
  }

  /** Lets a daemon that has loaded everything take the place of the one that serves. */
  async #handOver(daemon: DaemonProcess): Promise<void> {
    const previous = this.#current;
    if (previous !== undefined) {
      // What readers ask for meanwhile waits in the kernel.
      this.#startDeadline();
      await dismiss(previous, false, LEAVE_TIMEOUT_MS);
    }
    if (daemon.phase !== "loaded") return;
    daemon.phase = "taking";
    this.#next = undefined;
    this.#current = daemon;
    daemon.send({ type: "take", isFresh: !this.#isServed });
  }

  #served(daemon: DaemonProcess, canResend: boolean): void {
    const isTakeover = this.#isServed;
    daemon.phase = "serving";
    this.#isServed = true;
    this.#canResend = canResend;
    this.#failures = 0;
    clearTimeout(this.#deadline);
    this.#deadline = undefined;
    if (isTakeover) this.#takeovers++;
    this.#log.add("daemon.serving", { pid: daemon.pid, generation: this.#generation, isTakeover });
    this.#options.systemd.notify(`READY=1\nSTATUS=daemon ${daemon.pid} serves`);
  }

  #startUpgrade(daemon: DaemonProcess, entry: string): void {
    if (daemon !== this.#current || this.#next !== undefined || this.#isStopping) return;
    this.#entry = entry;
    this.#log.add("upgrade.started", { entry });
    this.#startNext();
  }

  #bury(daemon: DaemonProcess, how: string): void {
    const wasCurrent = daemon === this.#current;
    const wasNext = daemon === this.#next;
    if (wasCurrent) this.#current = undefined;
    if (wasNext) this.#next = undefined;
    if (this.#isStopping || !(wasCurrent || wasNext)) return;
    // A daemon that was asked to leave has its successor waiting.
    if (this.#next?.phase === "loaded") return;
    this.#log.add("daemon.died", { pid: daemon.pid, how, wasServing: wasCurrent });
    if (!wasCurrent && this.#current !== undefined) {
      // Its predecessor serves on, and the next upgrade goes back to that one's program.
      this.#entry = this.#current.entry;
      this.#log.add("upgrade.failed", { entry: daemon.entry, how });
      return;
    }
    if (!this.#isServed) this.#renew("the first daemon died before it served");
    else if (!this.#canResend) this.#renew("this kernel does not repeat the requests of a dead daemon");
    else {
      this.#startDeadline();
      this.#startAgain();
    }
  }

  #startAgain(): void {
    if (this.#next !== undefined || this.#current !== undefined || this.#isStopping) return;
    const delayMs = RESTART_DELAYS_MS[Math.min(this.#failures, RESTART_DELAYS_MS.length - 1)] ?? 0;
    this.#failures++;
    clearTimeout(this.#restart);
    this.#restart = setTimeout(() => {
      if (this.#next === undefined && this.#current === undefined && !this.#isStopping) this.#startNext();
    }, delayMs);
  }

  #startDeadline(): void {
    this.#deadline ??= setTimeout(() => {
      this.#deadline = undefined;
      this.#renew(`nobody took over within ${this.#options.takeoverDeadlineMs} ms`);
    }, this.#options.takeoverDeadlineMs);
  }

  /** Ends the connection, so that nobody waits in it for ever, and goes on with a new one. */
  #renew(reason: string): void {
    this.#renewNow(reason).catch(this.#rejectEnded);
  }

  async #renewNow(reason: string): Promise<void> {
    clearTimeout(this.#deadline);
    this.#deadline = undefined;
    const daemons = [this.#current, this.#next].filter((daemon) => daemon !== undefined);
    this.#current = undefined;
    this.#next = undefined;
    for (const daemon of daemons) daemon.kill();
    abortConnection(this.#connection);
    closeSync(this.#connection.fd);
    if (this.#isServed) this.#log.add("connection.aborted", { connection: this.#connection.number, reason });
    this.#isServed = false;
    this.#canResend = true;
    await Promise.all(daemons.map(({ gone }) => gone));
    if (this.#isStopping) return;
    this.#connection = await openConnection(this.#options.mountDirectory);
    this.#storeConnection();
    this.#startAgain();
  }

  #watch(): void {
    for (const daemon of [this.#current, this.#next]) {
      if (daemon === undefined) continue;
      if (performance.now() - daemon.lastSignMs > SILENCE_LIMIT_MS) {
        this.#log.add("daemon.silent", { pid: daemon.pid });
        daemon.kill();
      } else {
        daemon.send({ type: "ping" });
      }
    }
  }

  #storeConnection(): void {
    const { systemd } = this.#options;
    if (!systemd.hasFdStore) return;
    systemd.notify(`FDSTOREREMOVE=1\nFDNAME=${STORED_FUSE}`);
    systemd.notify(`FDSTORE=1\nFDNAME=${STORED_FUSE}`, this.#connection.fd);
  }
}

/** Asks a daemon to leave, and makes it when it does not. */
async function dismiss(daemon: DaemonProcess, unmount: boolean, timeoutMs: number): Promise<void> {
  daemon.phase = daemon.phase === "gone" ? "gone" : "leaving";
  daemon.send({ type: "leave", unmount });
  const timer = setTimeout(() => daemon.kill(), timeoutMs);
  await daemon.gone;
  clearTimeout(timer);
}
