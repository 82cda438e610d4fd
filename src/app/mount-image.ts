import { writeFileSync } from "node:fs";
import { fired } from "../base/abort.ts";
import { CodedError, isCoded } from "../base/errors.ts";
import { ChunkTrace } from "../mount/chunk-trace.ts";
import { type ENGINES, type Engine, type MountedImage, mountImage } from "../mount/mount.ts";
import type { CacheCounts } from "../store/cached-blob.ts";
import type { SourceCounts } from "../store/decoded-source.ts";
import { composeSource, type ReadPath } from "./compose-source.ts";
import { startDecodeWorkers } from "./decode-workers.ts";
import { mountableBootstrap } from "./mountable-bootstrap.ts";
import type { NydusImage } from "./nydus-image.ts";
import { formatTrace } from "./path-list.ts";
import { type PrefetchOptions, prefetch } from "./prefetch.ts";
import { traceRows } from "./trace-rows.ts";

export { MAX_WORKERS } from "../mount/fuse-server.ts";
export type { Engine } from "../mount/mount.ts";
export { ENGINES } from "../mount/mount.ts";
export { makeDirectory } from "../store/make-directory.ts";

/** How to mount an image. */
export interface MountImageOptions {
  /** An existing directory. */
  readonly mountpoint: string;
  readonly cacheDirectory: string;
  /** @default "auto" */
  readonly engine?: (typeof ENGINES)[number];
  /** @default nothing */
  readonly prefetch?: PrefetchOptions;
  /** A file for the parts of files that were read, in the order of their first reads. @default none */
  readonly traceFile?: string;
  /** Threads that answer FUSE. @default 2 */
  readonly workers?: number;
}

/** How a mount is followed and stopped. */
export interface MountHooks {
  /** Unmounts when it fires. */
  readonly signal: AbortSignal;
  /** Told once the image can be read. */
  readonly onMounted: (mounted: { readonly engine: Engine; readonly reason: string }) => void;
  /** Told of reads and prefetches that failed; the mount lives on. */
  readonly onError: (error: unknown) => void;
}

/** What a mount did in its life. Times count from the start of the process; sizes are bytes. */
export interface MountStats {
  readonly image: string;
  readonly mountpoint: string;
  readonly engine: Engine;
  readonly reason: string;
  /** Requests to the place that has the blobs, for chunks. */
  readonly requests: number;
  /** Stored bytes that came from there. */
  readonly fetchedBytes: number;
  readonly bytesBySource: Readonly<Record<string, number>>;
  readonly fetchedChunks: number;
  /** Chunks that were in the cache when they were asked for, not counting reads that a worker answered alone. */
  readonly hits: number;
  readonly misses: number;
  /** Chunks from the source that no digest proves. */
  readonly unverifiedChunks: number;
  /** READs that the FUSE workers answered alone, and those that waited for a chunk; absent for other engines. */
  readonly cachedReads?: number;
  readonly waitingReads?: number;
  readonly mountedAfterMs: number;
  /** Absent when no file was read, or another engine served. */
  readonly firstReadAfterMs?: number;
  readonly unmountedAfterMs: number;
}

/**
 * Mounts an image and serves it until the signal fires or somebody unmounts it.
 *
 * @throws {CodedError} as {@link mountImage}; ERR_MOUNT_FAILED when it cannot be unmounted.
 */
export async function serveImage(
  image: NydusImage,
  options: MountImageOptions,
  hooks: MountHooks,
): Promise<MountStats> {
  const { bytes, blobRows, hasChunksInPlace } = mountableBootstrap(image.outline, image.bootstrapBytes);
  await using workers = startDecodeWorkers();
  const trace = options.traceFile === undefined ? undefined : new ChunkTrace();
  const path = composeSource(image, options.cacheDirectory, blobRows, workers);
  await using blobs = path.blobs;
  const mounted = await mountImage(
    {
      bootstrap: bytes,
      hasChunksInPlace,
      blobs,
      mountpoint: options.mountpoint,
      cacheDirectory: options.cacheDirectory,
      name: image.name,
      onError: hooks.onError,
      ...(trace !== undefined && { trace }),
      ...(options.engine !== undefined && { engine: options.engine }),
      ...(options.workers !== undefined && { workers: options.workers }),
    },
    hooks.signal,
  );
  const mountedAfterMs = performance.now();
  hooks.onMounted({ engine: mounted.engine, reason: mounted.reason });

  const ending = new AbortController();
  const fetching = prefetch(
    options.prefetch ?? { choice: "none" },
    image,
    blobs,
    (row) => blobRows.indexOf(row),
    ending.signal,
  ).catch((error: unknown) => {
    if (!isCoded(error, "ERR_ABORTED")) hooks.onError(error);
  });
  await Promise.race([mounted.ended, fired(hooks.signal)]);
  ending.abort();
  await mounted.close();
  await fetching;
  if (trace !== undefined && options.traceFile !== undefined) {
    const rows = traceRows(image.bootstrap, trace, (row) => blobRows[row] ?? row);
    writeTrace(options.traceFile, formatTrace(rows));
  }
  return statsOf(image, mounted, path, mountedAfterMs);
}

function writeTrace(path: string, text: string): void {
  try {
    writeFileSync(path, text);
  } catch (cause) {
    throw new CodedError("ERR_TARGET_IO", `trace ${path} cannot be written`, { cause });
  }
}

function statsOf(
  image: NydusImage,
  mounted: MountedImage,
  path: ReadPath,
  mountedAfterMs: number,
): MountStats {
  const cache: CacheCounts = path.blobs.counts;
  const network: Readonly<SourceCounts> = path.network.counts;
  const fuse = mounted.counts();
  return {
    image: image.name,
    mountpoint: mounted.mountpoint,
    engine: mounted.engine,
    reason: mounted.reason,
    requests: network.requests,
    fetchedBytes: network.storedBytes,
    bytesBySource: { [path.network.name]: network.storedBytes },
    fetchedChunks: cache.fetchedChunks,
    hits: cache.hits,
    misses: cache.misses,
    unverifiedChunks: network.unverifiedChunks,
    ...(fuse !== undefined && { cachedReads: fuse.reads, waitingReads: fuse.misses }),
    mountedAfterMs: Math.round(mountedAfterMs),
    ...(fuse?.firstReadAfterMs !== undefined && { firstReadAfterMs: Math.round(fuse.firstReadAfterMs) }),
    unmountedAfterMs: Math.round(performance.now()),
  };
}
