import { FuseMount } from "#src/mount/fuse-mount.js";
import { ImageChunks } from "#src/mount/image-chunks.js";
import type { CachedBlob, CachedBlobs } from "#src/store/cached-source.js";
import { readFixture } from "./fixtures.ts";
import { FaultySource, openGoldenCache } from "./golden-cache.ts";

/** Mounts the golden image that the command line names: run, mountpoint, cache folder. */
export async function mountGolden(): Promise<{ mount: FuseMount; cache: CachedBlobs }> {
  const [run = "", mountpoint = "", cacheFolder = ""] = process.argv.slice(2);
  const bytes = readFixture("golden", "made", run, "bootstrap");
  const bootstrap = new Uint8Array(new SharedArrayBuffer(bytes.length));
  bootstrap.set(bytes);
  const cache = await openGoldenCache(bootstrap, new FaultySource("golden", "made", run), cacheFolder);
  const open = async (index: number): Promise<CachedBlob> => {
    const blob = cache.blobs[index];
    if (blob === undefined) throw new RangeError(`no blob ${index}`);
    return blob;
  };
  const chunks = new ImageChunks({ open }, cache.blobs.length);
  const options = { name: "nydus-test", allowOther: false };
  return { mount: await FuseMount.open(mountpoint, bootstrap, chunks, options), cache };
}
