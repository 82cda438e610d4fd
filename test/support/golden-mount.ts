import { readBootstrapHeader } from "#src/image/bootstrap-header.js";
import { FuseMount } from "#src/mount/fuse-mount.js";
import { ImageChunks } from "#src/mount/image-chunks.js";
import type { CachedBlobs } from "#src/store/cached-blobs.js";
import { readFixture } from "./fixtures.ts";
import { FaultySource, openGoldenCache } from "./golden-cache.ts";
import { sharedCopy } from "./mounted-image.ts";

/** Mounts the golden image that the command line names: run, mountpoint, cache folder. */
export async function mountGolden(): Promise<{ mount: FuseMount; cache: CachedBlobs }> {
  const [run = "", mountpoint = "", cacheFolder = ""] = process.argv.slice(2);
  const bootstrap = sharedCopy(readFixture("golden", "made", run, "bootstrap"));
  const cache = openGoldenCache(run, new FaultySource("golden", "made", run), cacheFolder);
  const chunks = new ImageChunks(cache, readBootstrapHeader(bootstrap).blobs.length);
  const options = { name: "nydus-test", allowOther: false };
  return { mount: await FuseMount.open(mountpoint, bootstrap, chunks, options), cache };
}
