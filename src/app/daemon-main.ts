/**
 * The program of a daemon process. A supervisor starts it with the FUSE connection and a channel, see
 * node/supervisor-messages.ts; it is of no use to anybody else.
 *
 * Argument: the configuration file, none for the default.
 */
import { rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { isCoded } from "../base/errors.ts";
import { VERSION } from "../base/version.ts";
import { addon } from "../native/addon.ts";
import { JsonServer } from "../net/json-server.ts";
import { EventLog } from "../node/event-log.ts";
import {
  type DaemonMessage,
  INHERITED_FDS,
  type StartMessage,
  type SupervisorMessage,
} from "../node/supervisor-messages.ts";
import { makeDirectory } from "../store/make-directory.ts";
import { readDaemonConfig } from "./daemon-config.ts";
import { daemonRoutes } from "./daemon-routes.ts";
import { DaemonService } from "./daemon-service.ts";

/** Milliseconds that calls under way get at the end. */
const LAST_CALLS_MS = 2000;
const SIGKILL = 9;

/** Programs of an installation, from its root. */
const ENTRY = join("dist", "app", "daemon-main.js");

const configFile = process.argv[2];
let daemon: Daemon | undefined;

function tell(message: DaemonMessage): void {
  process.send?.(message);
}

/** Ends the process whatever its threads wait for. */
function end(): void {
  process.kill(process.pid, "SIGKILL");
}

/** One life: from `start` to `leave`. */
class Daemon {
  readonly #log: EventLog;
  readonly #start: StartMessage;
  readonly #service: DaemonService;
  #config: Awaited<ReturnType<typeof readDaemonConfig>>;
  #server: JsonServer | undefined;

  private constructor(
    log: EventLog,
    start: StartMessage,
    config: Awaited<ReturnType<typeof readDaemonConfig>>,
    service: DaemonService,
  ) {
    this.#log = log;
    this.#start = start;
    this.#config = config;
    this.#service = service;
  }

  static async load(start: StartMessage): Promise<Daemon> {
    const log = new EventLog(start.events, (event) => tell({ type: "event", event }));
    const config = await readDaemonConfig(configFile);
    return new Daemon(log, start, config, await DaemonService.load(config, start, log));
  }

  async take(isFresh: boolean): Promise<void> {
    await this.#service.serve(INHERITED_FDS.fuse, isFresh);
    tell({ type: "serving", canResend: this.#service.node.session.canResend });
    await this.#service.restoreMounts(isFresh);
    this.#server = new JsonServer({
      routes: daemonRoutes({
        service: this.#service,
        start: this.#start,
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
    if (this.#start.hasControlSocket) {
      await this.#server.listenOn(INHERITED_FDS.control);
    } else {
      await makeDirectory(dirname(this.#config.socket), 0o755);
      await this.#server.listenAt(this.#config.socket);
    }
  }

  async leave(unmount: boolean): Promise<void> {
    const closing = this.#server?.[Symbol.asyncDispose]();
    await Promise.race([closing, new Promise((resolve) => setTimeout(resolve, LAST_CALLS_MS))]);
    // Nobody comes after this one: whoever asks shall hear so at once.
    if (unmount && !this.#start.hasControlSocket) rmSync(this.#config.socket, { force: true });
    await this.#service.leave(unmount);
  }

  async reload(): Promise<void> {
    this.#config = await readDaemonConfig(configFile);
    this.#service.credentials.reload(this.#config.registry);
    this.#log.add("config.reloaded");
  }

  /** Names the successor's program: the configuration may say since when another installation is the right one. */
  async prepareUpgrade(): Promise<void> {
    const { installation } = await readDaemonConfig(configFile);
    const entry = installation === "" ? import.meta.filename : join(installation, ENTRY);
    tell({ type: "upgrade", entry });
  }

  reportFailure(what: string, error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    this.#log.add(`${what}.failed`, { code: isCoded(error) ? error.code : "ERR_UNCLASSIFIED", message });
  }
}

async function hear(message: SupervisorMessage): Promise<void> {
  switch (message.type) {
    case "start":
      daemon = await Daemon.load(message);
      tell({ type: "loaded" });
      break;
    case "take":
      await daemon?.take(message.isFresh);
      break;
    case "leave":
      await daemon?.leave(message.unmount);
      end();
      break;
    case "reload":
      await daemon?.reload().catch((error: unknown) => daemon?.reportFailure("reload", error));
      break;
    case "prepare-upgrade":
      await daemon?.prepareUpgrade().catch((error: unknown) => daemon?.reportFailure("upgrade", error));
      break;
    case "ping":
      tell({ type: "pong" });
      break;
  }
}

// Without its supervisor nobody would take over: readers shall get an error rather than wait for ever.
addon()?.dieWithParent(SIGKILL);
process.on("disconnect", end);
process.on("message", (message: SupervisorMessage) => {
  hear(message).catch((error: unknown) => {
    const { name, message: text, stack } = error instanceof Error ? error : new Error(String(error));
    const code = isCoded(error) ? error.code : "ERR_UNCLASSIFIED";
    process.stderr.write(
      `${JSON.stringify({ timeMs: Date.now(), event: "daemon.failed", code, message: text, ...(code === "ERR_UNCLASSIFIED" && { name, stack }) })}\n`,
    );
    end();
  });
});
