import { openSync } from "node:fs";
import { readFile, realpath } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { fired } from "../base/abort.ts";
import { CodedError } from "../base/errors.ts";
import { JsonServer } from "../net/json-server.ts";
import { EventLog } from "../node/event-log.ts";
import { makeDirectory } from "../store/make-directory.ts";
import { openJsonLog } from "../telemetry/json-log.ts";
import { MAX_NYDUSD_CONFIG_SIZE } from "./nydusd-config.ts";
import { formatNydusdError, nydusdRoutes } from "./nydusd-routes.ts";
import { NydusdService } from "./nydusd-service.ts";

/** nydusd's command line. */
export interface NydusdCommand {
  readonly apiSocket: string;
  readonly mountpoint: string;
  readonly id?: string;
  /** File of the configuration, for an image that is mounted at once. */
  readonly config?: string;
  readonly bootstrap?: string;
  readonly logFile?: string;
  readonly threads: number;
}

/**
 * Serves in nydusd's place until the signal fires, or `PUT /api/v1/daemon/exit`.
 *
 * @throws {CodedError} ERR_MOUNT_FAILED, ERR_OPTION_INVALID, ERR_TARGET_IO, and as NydusdService.mount.
 */
export async function runNydusd(command: NydusdCommand, signal: AbortSignal): Promise<void> {
  if (process.getuid?.() !== 0) throw new CodedError("ERR_MOUNT_FAILED", "nydus-daemon must run as root");
  const { apiSocket, logFile } = command;
  const log = new EventLog(
    [],
    undefined,
    openJsonLog(logFile === undefined ? process.stderr.fd : openLog(logFile)),
  );
  await makeDirectory(command.mountpoint);
  await makeDirectory(dirname(apiSocket));
  const service = await NydusdService.start(
    {
      id: command.id ?? "",
      mountpoint: await realpath(command.mountpoint),
      cacheDirectory: join(dirname(apiSocket), "cache"),
      nodeDirectory: join(await realpath(dirname(apiSocket)), `${basename(apiSocket)}.node`),
      threads: command.threads,
    },
    log,
  );
  const ending = new AbortController();
  const server = new JsonServer({
    // After the answer has left.
    routes: nydusdRoutes(service, () => void setImmediate(() => ending.abort())),
    formatError: formatNydusdError,
    // nydus-snapshotter keeps a silent connection, whose end tells it of ours.
    requestTimeoutMs: 0,
    onError: (error) => log.add("call.failed", { message: String(error) }),
  });
  try {
    if (command.bootstrap !== undefined) {
      await service.mount("/", await realpath(command.bootstrap), await readConfig(command.config));
    }
    await server.listenAt(apiSocket);
    await fired(AbortSignal.any([signal, ending.signal]));
  } finally {
    await service.close();
    await server[Symbol.asyncDispose]();
  }
}

function openLog(path: string): number {
  try {
    return openSync(path, "a", 0o600);
  } catch (cause) {
    throw new CodedError("ERR_TARGET_IO", `log file ${path}`, { cause });
  }
}

async function readConfig(path: string | undefined): Promise<string> {
  if (path === undefined) throw new CodedError("ERR_OPTION_INVALID", "--bootstrap goes with --config");
  try {
    const bytes = await readFile(path);
    if (bytes.length <= MAX_NYDUSD_CONFIG_SIZE) return bytes.toString("utf8");
  } catch (cause) {
    throw new CodedError("ERR_PATH_NOT_FOUND", `configuration ${path}`, { cause });
  }
  throw new CodedError(
    "ERR_LIMIT_EXCEEDED",
    `configuration ${path} has over ${MAX_NYDUSD_CONFIG_SIZE} bytes`,
  );
}
