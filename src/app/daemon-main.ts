/**
 * The program of a daemon process. A supervisor starts it with the FUSE connection and a channel, see
 * node/supervisor-messages.ts; it is of no use to anybody else.
 *
 * Argument: the configuration file, none for the default.
 */
import { isCoded } from "../base/errors.ts";
import { addon } from "../native/addon.ts";
import { EventLog } from "../node/event-log.ts";
import type { DaemonMessage, SupervisorMessage } from "../node/supervisor-messages.ts";
import { openJsonLog } from "../telemetry/json-log.ts";
import { Daemon } from "./daemon.ts";

const SIGKILL = 9;

const configFile = process.argv[2];
let daemon: Daemon | undefined;

function tell(message: DaemonMessage): void {
  process.send?.(message);
}

/** Ends the process whatever its threads wait for. */
function end(): void {
  process.kill(process.pid, "SIGKILL");
}

async function hear(message: SupervisorMessage): Promise<void> {
  switch (message.type) {
    case "start":
      daemon = await Daemon.load({ start: message, configFile, tell });
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
    const bug = code === "ERR_UNCLASSIFIED" ? { name, stack } : {};
    const log = new EventLog([], undefined, openJsonLog(process.stderr.fd));
    log.add("daemon.failed", { code, message: text, ...bug });
    end();
  });
});
