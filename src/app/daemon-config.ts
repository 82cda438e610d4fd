import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { parse as parseToml, TomlError } from "smol-toml";
import * as v from "valibot";
import { CodedError } from "../base/errors.ts";
import { integerOption, parseDuration } from "../base/options.ts";
import { MAX_WORKERS } from "../mount/fuse-server.ts";
import { NODE_ENGINES } from "../node/control-messages.ts";
import { checkShape } from "../node/shape.ts";

/** Bytes of a configuration file that are read. */
const MAX_CONFIG_SIZE = 2 ** 20;
const MAX_PATH = 4096;

/** sun_path of a unix socket is 108 bytes with its end; the daemon listens under a longer name first. */
const MAX_SOCKET_PATH = 90;

const ABSOLUTE = v.pipe(v.string(), v.maxLength(MAX_PATH), v.startsWith("/"));
const LOGIN = v.strictObject({ username: v.string(), password: v.string() });

const CONFIG = v.strictObject({
  stateDirectory: v.optional(ABSOLUTE),
  cacheDirectory: v.optional(ABSOLUTE),
  socket: v.optional(v.pipe(ABSOLUTE, v.maxBytes(MAX_SOCKET_PATH))),
  installation: v.optional(v.union([v.literal(""), ABSOLUTE])),
  engine: v.optional(v.picklist(NODE_ENGINES)),
  workers: v.optional(v.number()),
  readDeadline: v.optional(v.string()),
  takeoverDeadline: v.optional(v.string()),
  maxImages: v.optional(v.number()),
  registry: v.optional(
    v.strictObject({
      plainHttp: v.optional(v.boolean()),
      certificateFiles: v.optional(v.pipe(v.array(ABSOLUTE), v.maxLength(64))),
      credentialFiles: v.optional(v.pipe(v.array(ABSOLUTE), v.maxLength(64))),
      credentials: v.optional(v.record(v.string(), LOGIN)),
    }),
  ),
  http: v.optional(
    v.strictObject({
      listen: v.optional(v.pipe(v.string(), v.maxLength(300))),
      hungReadAfter: v.optional(v.string()),
    }),
  ),
  tracing: v.optional(v.strictObject({ endpoint: v.optional(v.pipe(v.string(), v.maxLength(MAX_PATH))) })),
});

/** The settings of a node daemon, complete. Durations are milliseconds. */
export interface DaemonConfig {
  readonly stateDirectory: string;
  readonly cacheDirectory: string;
  readonly socket: string;
  /** Empty for the installation that runs. */
  readonly installation: string;
  readonly engine: (typeof NODE_ENGINES)[number];
  readonly workers: number;
  readonly readDeadlineMs: number;
  readonly takeoverDeadlineMs: number;
  readonly maxImages: number;
  readonly registry: {
    readonly plainHttp: boolean;
    readonly certificateFiles: readonly string[];
    /** Empty for those of docker and podman. */
    readonly credentialFiles: readonly string[];
    /** By registry, `HOST[:PORT]`. */
    readonly credentials: Readonly<Record<string, { readonly username: string; readonly password: string }>>;
  };
  readonly http: {
    /** Absent: nowhere. */
    readonly listen: { readonly host: string; readonly port: number } | undefined;
    readonly hungReadAfterMs: number;
  };
  readonly tracing: {
    /** Absent: what the environment says. */
    readonly endpoint: string | undefined;
  };
}

/**
 * The configuration that an empty file gives, with what every key means: what `nydus-daemon config default` prints
 * and docs/daemon.md shows.
 */
export const DEFAULT_CONFIG_TEXT = `\
# Which images are mounted where. Only one daemon may use it; keep it over restarts.
stateDirectory = "/var/lib/nydus-toolkit"

# Chunks that were fetched, for all images together; in nydusd's layout. On tmpfs or overlayfs the engine erofs may not work.
cacheDirectory = "/var/cache/nydus-toolkit"

# The control socket, for root alone. At most ${MAX_SOCKET_PATH} bytes.
socket = "/run/nydus-toolkit/daemon.sock"

# Another installation of this package, whose program the next upgrade starts. Empty: the one that runs.
installation = ""

# What answers a mount: "erofs" (the kernel, over files of the daemon), "fuse" (the daemon), or "auto" (erofs where it works).
engine = "auto"

# Threads that answer the kernel, for all images together: 1 to ${MAX_WORKERS}.
workers = 4

# A read that cannot be served in this time fails with EIO. Until then not even SIGKILL ends the reader.
readDeadline = "30s"

# When the daemon dies its successor must serve within this time; after it reads fail, until the images are mounted again.
takeoverDeadline = "20s"

# Images that may be mounted at once.
maxImages = 4096

[registry]
# Use http without TLS for registries beyond this machine too.
plainHttp = false

# Files of certificates in PEM that are trusted beside the system's.
certificateFiles = []

# Files in the format of docker's config.json, first hit first. Empty: those of docker and podman. Read anew for every login.
credentialFiles = []

# Logins by registry, before those of the files; read again on SIGHUP. Better keep them in files.
# [registry.credentials."registry.example"]
# username = "someone"
# password = "secret"

[http]
# HOST:PORT where /metrics, /healthz and /readyz are answered, to everybody who reaches it. Empty: nowhere.
listen = ""

# A read that has waited for longer counts as hung in the metrics.
hungReadAfter = "10s"

[tracing]
# Base URL of a receiver of spans (OTLP over HTTP). Empty: what OTEL_EXPORTER_OTLP_ENDPOINT says, or none.
endpoint = ""
`;

/**
 * Reads a configuration file.
 *
 * @param path Absent for the default configuration.
 * @throws {CodedError} ERR_OPTION_INVALID naming the key, ERR_PATH_NOT_FOUND.
 */
export async function readDaemonConfig(path: string | undefined): Promise<DaemonConfig> {
  return parseDaemonConfig(path === undefined ? "" : await readBounded(path), path ?? "configuration");
}

/**
 * Completes the text of a configuration file. Values of unknown keys and of credentials are never quoted.
 *
 * @param name The file, for messages.
 * @throws {CodedError} ERR_OPTION_INVALID naming the key.
 */
export function parseDaemonConfig(text: string, name: string): DaemonConfig {
  const found = parseTable(text, name);
  const checked = checkShape(CONFIG, found);
  if ("fault" in checked) {
    const { key, wanted, isUnknown } = checked.fault;
    throw invalid(name, isUnknown ? `there is no key ${key}` : `${key}: wanted ${wanted}`);
  }
  const { registry = {}, http = {}, tracing = {}, ...given } = checked.value;
  const duration = (key: string, value: string, minimumMs: number): number =>
    integerOption(`${key} in ms`, parseDuration(key, value), minimumMs, 86_400_000);
  return {
    stateDirectory: given.stateDirectory ?? "/var/lib/nydus-toolkit",
    cacheDirectory: given.cacheDirectory ?? "/var/cache/nydus-toolkit",
    socket: given.socket ?? DEFAULT_SOCKET,
    installation: given.installation ?? "",
    engine: given.engine ?? "auto",
    workers: integerOption("workers", given.workers ?? 4, 1, MAX_WORKERS),
    readDeadlineMs: duration("readDeadline", given.readDeadline ?? "30s", 100),
    takeoverDeadlineMs: duration("takeoverDeadline", given.takeoverDeadline ?? "20s", 1000),
    maxImages: integerOption("maxImages", given.maxImages ?? 4096, 1, 65_536),
    registry: {
      plainHttp: registry.plainHttp ?? false,
      certificateFiles: registry.certificateFiles ?? [],
      credentialFiles: registry.credentialFiles ?? [],
      credentials: registry.credentials ?? {},
    },
    http: {
      listen: parseListen(name, http.listen ?? ""),
      hungReadAfterMs: duration("http.hungReadAfter", http.hungReadAfter ?? "10s", 1),
    },
    tracing: { endpoint: parseEndpoint(name, tracing.endpoint ?? "") },
  };
}

function parseListen(name: string, text: string): DaemonConfig["http"]["listen"] {
  if (text === "") return undefined;
  const [, address, host, port] = /^(?:\[([\da-f:.]+)\]|([\w.-]+)):(\d{1,5})$/i.exec(text) ?? [];
  if (Number(port) <= 65_535) return { host: address ?? host ?? "", port: Number(port) };
  throw invalid(name, "http.listen: wanted HOST:PORT");
}

function parseEndpoint(name: string, text: string): string | undefined {
  if (text === "") return undefined;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  // A login belongs into OTEL_EXPORTER_OTLP_HEADERS: this URL is shown.
  const isPlain = url?.username === "" && url.password === "" && url.search === "" && url.hash === "";
  if (isPlain && /^https?:$/.test(url.protocol)) return text;
  throw invalid(name, "tracing.endpoint: wanted an http or https URL without login and query");
}

/** Where a daemon listens, and its clients ask, when nothing else is said. */
export const DEFAULT_SOCKET = "/run/nydus-toolkit/daemon.sock";

/** The configuration for people and support bundles: without secrets. */
export function redactedConfig(config: DaemonConfig): object {
  const { credentials, ...registry } = config.registry;
  return { ...config, registry: { ...registry, credentialsFor: Object.keys(credentials) } };
}

function parseTable(text: string, name: string): unknown {
  try {
    return parseToml(text);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    // The parser's message quotes the line, which may hold a password: only its place is told.
    throw invalid(name, `line ${error.line}, column ${error.column} is no TOML`);
  }
}

function invalid(name: string, what: string): CodedError {
  return new CodedError("ERR_OPTION_INVALID", `${name}: ${what}`);
}

async function readBounded(path: string): Promise<string> {
  try {
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const { size } = await file.stat();
      if (size > MAX_CONFIG_SIZE) throw invalid(path, `${size} bytes, at most ${MAX_CONFIG_SIZE}`);
      return await file.readFile("utf8");
    } finally {
      await file.close();
    }
  } catch (cause) {
    if (cause instanceof CodedError) throw cause;
    throw new CodedError("ERR_PATH_NOT_FOUND", `configuration ${path}`, { cause });
  }
}
