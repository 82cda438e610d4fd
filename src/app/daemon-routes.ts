import { join } from "node:path";
import { CodedError } from "../base/errors.ts";
import { parseImageName } from "../format/oci/image-name.ts";
import { mountpointOf, resolveMountpoint } from "../mount/mount.ts";
import { findMount } from "../mount/mount-table.ts";
import type { JsonRoute } from "../net/json-server.ts";
import {
  CREDENTIALS_REQUEST,
  type EventsReply,
  type ImageRow,
  MOUNT_REQUEST,
  type MountReply,
  type MountRequest,
  PREFETCH_REQUEST,
  parseRequest,
  type StatusReply,
} from "../node/control-messages.ts";
import type { EventLog } from "../node/event-log.ts";
import type { StartMessage } from "../node/supervisor-messages.ts";
import { cacheUsage } from "./cache-usage.ts";
import { type DaemonConfig, redactedConfig } from "./daemon-config.ts";
import type { DaemonService } from "./daemon-service.ts";
import { openNodeImage } from "./node-image.ts";

/** What the calls of the control API work with. */
export interface DaemonControl {
  readonly service: DaemonService;
  readonly start: StartMessage;
  readonly log: EventLog;
  readonly version: string;
  /** Whether this process took over from another one. */
  readonly isTakeover: boolean;
  config(): DaemonConfig;
  /** Reads the configuration again. */
  reload(): Promise<void>;
  /** Asks the supervisor for a successor. */
  upgrade(): Promise<void>;
  /** Lets a successor know the credentials too. */
  keepSecrets(): void;
}

/** The calls of the control API, version 1. */
export function daemonRoutes(control: DaemonControl): Readonly<Record<string, JsonRoute>> {
  const { service, log } = control;
  return {
    "GET /v1/status": () => statusOf(control),
    "GET /v1/events": (): EventsReply => ({ events: log.events }),
    "GET /v1/config": () => redactedConfig(control.config()),
    "GET /v1/cache": () => cacheUsage(service.parts.blobs),
    "POST /v1/mounts": ({ body, signal }) => mount(control, parseRequest(MOUNT_REQUEST, body), signal),
    "DELETE /v1/mounts": ({ query }) => unmount(control, query.get("mountpoint") ?? ""),
    "POST /v1/prefetch": ({ body }) => {
      const { mountpoint, what } = parseRequest(PREFETCH_REQUEST, body);
      const row = service.images.find(mountpoint);
      if (row === undefined) {
        throw new CodedError("ERR_PATH_NOT_FOUND", `no image is mounted at ${mountpoint}`);
      }
      service.images.startPrefetch(row, what);
    },
    "POST /v1/upgrade": () => control.upgrade(),
    "POST /v1/reload": () => control.reload(),
    "PUT /v1/credentials": ({ body }) => {
      const { registry, credentials } = parseRequest(CREDENTIALS_REQUEST, body);
      service.credentials.give(registry, credentials);
      control.keepSecrets();
      log.add("credentials.changed", { registry });
    },
  };
}

async function mount(
  control: DaemonControl,
  request: MountRequest,
  signal: AbortSignal,
): Promise<MountReply> {
  const { service, log } = control;
  const mountpoint = await resolveMountpoint(request.mountpoint);
  if (request.credentials !== undefined) {
    service.credentials.give(scopeOf(request.image), request.credentials);
    control.keepSecrets();
  }
  const engine = request.engine ?? control.config().engine;
  const startedMs = performance.now();
  const made = await service.images.mount(
    () => openNodeImage(request, service.parts, signal),
    mountpoint,
    engine,
  );
  const { image } = made.row;
  log.add("image.mounted", {
    image: image.name,
    mountpoint,
    engine: made.engine,
    ms: Math.round(performance.now() - startedMs),
  });
  if (request.prefetch !== undefined) service.images.startPrefetch(made.row, request.prefetch);
  const { reason } = made;
  return { image: image.name, mountpoint, engine: made.engine, ...(reason !== undefined && { reason }) };
}

async function unmount({ service, log }: DaemonControl, path: string): Promise<void> {
  if (!path.startsWith("/"))
    throw new CodedError("ERR_OPTION_INVALID", "mountpoint must be an absolute path");
  const mountpoint = await mountpointOf(path);
  if (await service.dropFailed(mountpoint)) return;
  await service.images.unmount(mountpoint);
  log.add("image.unmounted", { mountpoint });
}

function statusOf({ service, start, version, isTakeover }: DaemonControl): StatusReply {
  const counts = service.node.counts();
  const rows: ImageRow[] = service.images.rows.map(({ number, image, mounts }) => ({
    number,
    name: image.name,
    bootstrapDigest: image.bootstrapDigest,
    mounts: [...mounts.keys()].map((mountpoint) => ({
      mountpoint,
      engine: findMount(mountpoint)?.type === "erofs" ? "erofs" : "fuse",
    })),
    fetchedChunks: image.counts.chunks,
    fetchedBytes: image.counts.storedBytes,
    requests: image.counts.requests,
  }));
  const failed: ImageRow[] = service.failed.map(({ saved, problem }) => ({
    number: saved.number,
    name: saved.name,
    bootstrapDigest: saved.bootstrapDigest,
    mounts: saved.mounts.map(({ mountpoint }) => ({ mountpoint, engine: "fuse" })),
    fetchedChunks: 0,
    fetchedBytes: 0,
    requests: 0,
    problem,
  }));
  return {
    version,
    pid: process.pid,
    supervisorPid: process.ppid,
    generation: start.generation,
    takeovers: start.takeovers + (isTakeover ? 1 : 0),
    connection: start.connection,
    startedMs: Math.round(performance.timeOrigin),
    fuse: { requests: counts.requests, cachedReads: counts.reads, waitingReads: counts.misses },
    images: [...rows, ...failed],
    staleMounts: service.images.staleMounts,
  };
}

/** Where credentials that come with a mount are good: the image's repository. */
function scopeOf(image: string | undefined): string {
  const name = image === undefined ? undefined : parseImageName(image);
  if (name?.kind !== "registry") {
    throw new CodedError("ERR_OPTION_INVALID", "credentials are given for an image that is in no registry");
  }
  return join(name.reference.registry, name.reference.repository);
}
