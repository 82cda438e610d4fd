import { realpath } from "node:fs/promises";
import * as v from "valibot";
import { CodedError } from "../base/errors.ts";
import { VERSION } from "../base/version.ts";
import { formatJsonError, type JsonFailure, type JsonRoute } from "../net/json-server.ts";
import { parseRequest } from "../node/control-messages.ts";
import { parseRegistryAuth } from "./nydusd-config.ts";
import type { NydusdService } from "./nydusd-service.ts";

const TEXT = v.pipe(v.string(), v.maxLength(2 ** 20));
const MOUNT = v.object({ source: TEXT, fs_type: TEXT, config: TEXT });
const CONFIG = v.object({ registry_auth: TEXT });

/** Rows of nydusd's counters for operations, sizes and latencies: these are not counted here. */
const zeros = (count: number): number[] => Array.from({ length: count }, () => 0);

/**
 * The calls of nydusd's API v1 that nydus-snapshotter makes.
 *
 * @param exit Ends the process, after its answer.
 */
export function nydusdRoutes(service: NydusdService, exit: () => void): Readonly<Record<string, JsonRoute>> {
  return {
    "GET /api/v1/daemon": () => ({
      id: service.id,
      version: { package_ver: VERSION, git_commit: "", build_time: "", profile: "nydus-toolkit", rustc: "" },
      state: "RUNNING",
      supervisor: null,
      backend_collection: {},
    }),
    "PUT /api/v1/daemon": () => undefined,
    "GET /api/v1/daemon/events": () => [],
    "PUT /api/v1/daemon/start": () => undefined,
    "PUT /api/v1/daemon/exit": () => exit(),
    "PUT /api/v1/daemon/fuse/sendfd": () => unsupported("handing descriptors to a supervisor of nydusd"),
    "PUT /api/v1/daemon/fuse/takeover": () => unsupported("taking over from a nydusd"),
    "POST /api/v1/mount": async ({ query, body }) => {
      const { source, fs_type, config } = parseRequest(MOUNT, body);
      if (fs_type !== "rafs") unsupported(`filesystem type ${JSON.stringify(fs_type.slice(0, 32))}`);
      await service.mount(mountpointOf(query), await realpath(source).catch(() => source), config);
    },
    "PUT /api/v1/mount": () => unsupported("mounting again what is mounted"),
    "DELETE /api/v1/mount": ({ query }) => service.unmount(mountpointOf(query)),
    "GET /api/v1/metrics": ({ query }) => ({
      files_account_enabled: false,
      access_pattern_enabled: false,
      measure_latency: false,
      id: query.get("id") ?? "",
      data_read: service.bytesRead,
      block_count_read: zeros(8),
      fop_hits: zeros(15),
      fop_errors: zeros(15),
      fop_cumulative_latency_total: zeros(15),
      read_latency_dist: zeros(8),
      nr_opens: 0,
    }),
    "GET /api/v1/metrics/files": () => [],
    "GET /api/v1/metrics/pattern": () => [],
    "GET /api/v1/metrics/inflight": () => undefined,
    "GET /api/v1/metrics/blobcache": ({ query }) => cacheMetrics(service, query.get("id") ?? "/"),
    "PUT /api/v1/config": ({ query, body }) => {
      const { registry_auth } = parseRequest(CONFIG, body);
      service.renewCredentials(query.get("id") ?? "/", parseRegistryAuth(registry_auth));
    },
  };
}

function cacheMetrics(service: NydusdService, path: string): object {
  const image = service.find(path);
  if (image === undefined) throw new CodedError("ERR_PATH_NOT_FOUND", `no image is mounted at ${path}`);
  const { requests, chunks, decodedBytes } = image.counts;
  return {
    id: path,
    underlying_files: [],
    store_path: "",
    partial_hits: 0,
    whole_hits: 0,
    total: requests,
    entries_count: chunks,
    prefetch_data_amount: 0,
    prefetch_requests_count: 0,
    prefetch_workers: 0,
    prefetch_unmerged_chunks: 0,
    prefetch_cumulative_time_millis: 0,
    prefetch_begin_time_secs: 0,
    prefetch_begin_time_millis: 0,
    prefetch_end_time_secs: 0,
    prefetch_end_time_millis: 0,
    buffered_backend_size: decodedBytes,
    data_all_ready: false,
  };
}

/** Errors in nydusd's form. */
export function formatNydusdError(error: unknown): JsonFailure {
  const { status, body } = formatJsonError(error);
  const { code, message } = (body as { error: { code: string; message: string } }).error;
  return { status, body: { code, message } };
}

function mountpointOf(query: URLSearchParams): string {
  const mountpoint = query.get("mountpoint");
  if (mountpoint === null) throw new CodedError("ERR_OPTION_INVALID", "mountpoint: wanted a path");
  return mountpoint;
}

function unsupported(what: string): never {
  throw new CodedError("ERR_FEATURE_UNSUPPORTED", `${what} is not supported`);
}
