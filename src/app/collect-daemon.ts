import { statfs } from "node:fs/promises";
import type { SharedBlobs } from "../daemon/shared-blobs.ts";
import { listAllMounts } from "../mount/mount-table.ts";
import type { StartMessage } from "../node/supervisor-messages.ts";
import type { Collect, MetricSet } from "../telemetry/metric-set.ts";
import { cacheUsage } from "./cache-usage.ts";
import type { DaemonService } from "./daemon-service.ts";

/** Milliseconds between two looks into the cache directory, which may hold thousands of files. */
const CACHE_LOOK_MS = 15_000;

/** Collects what the threads of a daemon counted and what its tables hold. */
export function collectDaemon(service: DaemonService, start: StartMessage, isTakeover: boolean): Collect {
  const { blobs } = service.parts;
  let cacheLook: Promise<void> | undefined;
  let cacheLookMs = Number.NEGATIVE_INFINITY;
  return async (metrics) => {
    const { requests, reads, readBytes, misses } = service.node.counts();
    metrics.set("nydus_fuse_requests_total", {}, requests);
    metrics.set("nydus_reads_total", { result: "cached" }, reads);
    metrics.set("nydus_reads_total", { result: "waited" }, misses);
    metrics.set("nydus_read_bytes_total", { result: "cached" }, readBytes);
    metrics.set("nydus_workers", {}, service.node.running);
    metrics.set("nydus_takeovers_total", {}, start.takeovers + (isTakeover ? 1 : 0));
    metrics.set("nydus_daemon_starts_total", {}, start.generation);
    const { hits, misses: missed, claimsVerified, claimsRefused, fetchedBytes } = blobs.counts;
    metrics.set("nydus_cache_chunks_total", { result: "hit" }, hits);
    metrics.set("nydus_cache_chunks_total", { result: "miss" }, missed);
    metrics.set("nydus_cache_claims_total", { result: "verified" }, claimsVerified);
    metrics.set("nydus_cache_claims_total", { result: "refused" }, claimsRefused);
    metrics.set("nydus_cache_written_bytes_total", {}, fetchedBytes);
    collectImages(metrics, service);
    if (performance.now() - cacheLookMs > CACHE_LOOK_MS) {
      cacheLookMs = performance.now();
      // The values of the last look stay when this one fails.
      cacheLook = collectCache(metrics, blobs).catch(() => undefined);
    }
    await cacheLook;
  };
}

function collectImages(metrics: MetricSet, { images, failed }: DaemonService): void {
  metrics.set("nydus_images", { state: "served" }, images.rows.length);
  metrics.set("nydus_images", { state: "failed" }, failed.length);
  metrics.set("nydus_stale_mounts", {}, images.staleMounts.length);
  const typeOf = new Map(listAllMounts().map(({ mountpoint, type }) => [mountpoint, type]));
  const types = images.rows.flatMap(({ mounts }) => [...mounts.keys()].map((place) => typeOf.get(place)));
  const there = types.filter((type) => type !== undefined);
  const erofs = there.filter((type) => type === "erofs").length;
  metrics.set("nydus_mounts", { engine: "erofs" }, erofs);
  metrics.set("nydus_mounts", { engine: "fuse" }, there.length - erofs);
}

async function collectCache(metrics: MetricSet, shared: SharedBlobs): Promise<void> {
  const [usage, disk] = await Promise.all([cacheUsage(shared), statfs(shared.directory)]);
  const mounted = usage.blobs.filter(({ isMounted }) => isMounted).length;
  metrics.set("nydus_cache_size_bytes", {}, usage.usedSize);
  metrics.set("nydus_cache_free_bytes", {}, disk.bavail * disk.bsize);
  metrics.set("nydus_cache_blobs", { state: "mounted" }, mounted);
  metrics.set("nydus_cache_blobs", { state: "idle" }, usage.blobs.length - mounted);
}
