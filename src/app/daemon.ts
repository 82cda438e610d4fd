import { rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { isCoded } from "../base/errors.ts";
import { VERSION } from "../base/version.ts";
import { JsonServer } from "../net/json-server.ts";
import { EventLog } from "../node/event-log.ts";
import { type DaemonMessage, INHERITED_FDS, type StartMessage } from "../node/supervisor-messages.ts";
import { makeDirectory } from "../store/make-directory.ts";
import { openJsonLog } from "../telemetry/json-log.ts";
import { collectDaemon } from "./collect-daemon.ts";
import { type DaemonConfig, readDaemonConfig } from "./daemon-config.ts";
import { daemonRoutes } from "./daemon-routes.ts";
import { DaemonService } from "./daemon-service.ts";
import { DaemonTelemetry } from "./daemon-telemetry.ts";

/** Milliseconds that calls under way get at the end. */
const LAST_CALLS_MS = 2000;

/** The program of a daemon process in an installation, from its root. */
const ENTRY = join("dist", "app", "daemon-main.js");

/** The program of a daemon process in this installation. */
export const DAEMON_ENTRY = join(import.meta.dirname, "daemon-main.js");

/** What a daemon process starts with. */
export interface DaemonSetup {
  readonly start: StartMessage;
  /** Absent for the default configuration. */
  readonly configFile: string | undefined;
  readonly tell: (message: DaemonMessage) => void;
}

/** A daemon process between `start` and `leave`: service, control socket and telemetry, and what it tells its supervisor. */
export class Daemon {
  readonly #setup: DaemonSetup;
  readonly #log: EventLog;
  readonly #service: DaemonService;
  readonly #telemetry: DaemonTelemetry;
  #config: DaemonConfig;
  #server: JsonServer | undefined;

  private constructor(
    setup: DaemonSetup,
    log: EventLog,
    config: DaemonConfig,
    service: DaemonService,
    telemetry: DaemonTelemetry,
  ) {
    this.#setup = setup;
    this.#log = log;
    this.#config = config;
    this.#service = service;
    this.#telemetry = telemetry;
  }

  /**
   * Opens everything that is to be served. Nothing is served yet.
   *
   * @throws {CodedError} as readDaemonConfig and DaemonService.load.
   */
  static async load(setup: DaemonSetup): Promise<Daemon> {
    const { start, configFile, tell } = setup;
    const write = openJsonLog(process.stderr.fd);
    const log = new EventLog(start.events, (event) => tell({ type: "event", event }), write);
    const config = await readDaemonConfig(configFile);
    const telemetry = await DaemonTelemetry.start(config, log);
    return new Daemon(setup, log, config, await DaemonService.load(config, start, log), telemetry);
  }

  /**
   * Serves from now on, and answers calls.
   *
   * @param isFresh Whether nobody has answered on this connection before.
   * @throws {CodedError} as DaemonService.serve; ERR_TARGET_IO when the control socket cannot be made.
   */
  async take(isFresh: boolean): Promise<void> {
    const { start, tell } = this.#setup;
    await this.#service.serve(INHERITED_FDS.fuse, isFresh);
    tell({ type: "serving", canResend: this.#service.node.session.canResend });
    await this.#telemetry.listen(collectDaemon(this.#service, start, !isFresh));
    await this.#service.restoreMounts(isFresh);
    this.#telemetry.isReady = true;
    this.#server = new JsonServer({
      routes: daemonRoutes({
        service: this.#service,
        start,
        log: this.#log,
        version: VERSION,
        isTakeover: !isFresh,
        config: () => this.#config,
        reload: () => this.reload(),
        upgrade: () => this.prepareUpgrade(),
        keepSecrets: () => tell({ type: "secrets", secrets: this.#service.credentials.secrets }),
      }),
      onError: (error) => this.#log.add("call.failed", { message: String(error) }),
    });
    if (start.hasControlSocket) {
      await this.#server.listenOn(INHERITED_FDS.control);
    } else {
      await makeDirectory(dirname(this.#config.socket), 0o755);
      await this.#server.listenAt(this.#config.socket);
    }
  }

  /** Ends serving for a successor, or for good when the mounts are taken away too. */
  async leave(unmount: boolean): Promise<void> {
    // While it still serves: nobody waits for the last spans.
    const closing = Promise.all([
      this.#server?.[Symbol.asyncDispose](),
      this.#telemetry[Symbol.asyncDispose](),
    ]);
    await Promise.race([closing, new Promise((resolve) => setTimeout(resolve, LAST_CALLS_MS))]);
    // Nobody comes after this one: whoever asks shall hear so at once.
    if (unmount && !this.#setup.start.hasControlSocket) rmSync(this.#config.socket, { force: true });
    await this.#service.leave(unmount);
  }

  /**
   * Reads the configuration again.
   *
   * @throws {CodedError} as readDaemonConfig; what was read before stays good then.
   */
  async reload(): Promise<void> {
    this.#config = await readDaemonConfig(this.#setup.configFile);
    this.#service.credentials.reload(this.#config.registry);
    this.#log.add("config.reloaded");
  }

  /** Names the successor's program: the configuration may say since when another installation is the right one. */
  async prepareUpgrade(): Promise<void> {
    const { installation } = await readDaemonConfig(this.#setup.configFile);
    const entry = installation === "" ? DAEMON_ENTRY : join(installation, ENTRY);
    this.#setup.tell({ type: "upgrade", entry });
  }

  /** Writes down that something that nobody waits for has failed. */
  reportFailure(what: "reload" | "upgrade", error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    this.#log.add(`${what}.failed`, { code: isCoded(error) ? error.code : "ERR_UNCLASSIFIED", message });
  }
}
