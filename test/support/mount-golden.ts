/**
 * A program: mounts a golden image at a path, prints `mounted`, and unmounts when its stdin ends; then it prints
 * `closed`. Tests run it as another user.
 *
 * Arguments: run, mountpoint, cache folder.
 */

import { FuseMount } from "#src/mount/fuse-mount.js";
import { ImageChunks } from "#src/mount/image-chunks.js";
import { readFixture } from "./fixtures.ts";
import { FaultySource, openGoldenCache } from "./golden-cache.ts";

const [run = "", mountpoint = "", cacheFolder = ""] = process.argv.slice(2);
const bytes = readFixture("golden", "made", run, "bootstrap");
const bootstrap = new Uint8Array(new SharedArrayBuffer(bytes.length));
bootstrap.set(bytes);
const cache = await openGoldenCache(bootstrap, new FaultySource("golden", "made", run), cacheFolder);
const open = async (index: number) => {
  const blob = cache.blobs[index];
  if (blob === undefined) throw new RangeError(`no blob ${index}`);
  return blob;
};
const chunks = new ImageChunks({ open }, cache.blobs.length);
const mount = await FuseMount.open(mountpoint, bootstrap, chunks, { name: "nydus-test", allowOther: false });
process.stdout.write("mounted\n");
for await (const _ of process.stdin);
await mount.close();
process.stdout.write(mount.isServed ? "still served\n" : "closed\n");
await cache[Symbol.asyncDispose]();
