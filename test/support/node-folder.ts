import { closeSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readBootstrapHeader } from "#src/image/bootstrap-header.js";
import { ImageChunks } from "#src/mount/image-chunks.js";
import { unmountImage } from "#src/mount/node-engines.js";
import { NodeMount, type NodeMountOptions } from "#src/mount/node-mount.js";
import { mountFuseDevice } from "#src/native/fuse-device.js";
import type { CachedBlobs } from "#src/store/cached-blobs.js";
import { readFixture } from "./fixtures.ts";
import { FaultySource, openGoldenCache } from "./golden-cache.ts";
import { sharedCopy } from "./mounted-image.ts";

/** A golden image as a node serves it. */
export interface NodeImage {
  readonly bootstrap: Uint8Array;
  readonly source: FaultySource;
  readonly blobs: CachedBlobs;
  readonly chunks: ImageChunks;
}

/** Opens a golden image over a cache, for NodeMount.addImage. */
export function openNodeImage(run: string, cacheFolder: string): NodeImage {
  const bootstrap = sharedCopy(readFixture("golden", "made", run, "bootstrap"));
  const source = new FaultySource("golden", "made", run);
  const blobs = openGoldenCache(run, source, cacheFolder);
  const chunks = new ImageChunks(blobs, readBootstrapHeader(bootstrap).blobs.length);
  return { bootstrap, source, blobs, chunks };
}

/** A temporary folder with a node's FUSE mount in it, and golden images that it shows. */
export class NodeFolder implements AsyncDisposable {
  readonly path = mkdtempSync(join(tmpdir(), "nydus-node-"));
  readonly directory = join(this.path, "n");
  readonly errors: unknown[] = [];
  readonly #images = new Map<number, NodeImage>();
  readonly #mountpoints: string[] = [];
  #node: NodeMount | undefined;
  #fd = -1;

  static async open(options: NodeMountOptions = {}): Promise<NodeFolder> {
    const folder = new NodeFolder();
    mkdirSync(folder.directory);
    folder.#fd = await mountFuseDevice(folder.directory);
    const onError = (error: unknown) => folder.errors.push(error);
    folder.#node = await NodeMount.start(folder.#fd, folder.directory, { onError, ...options });
    return folder;
  }

  get node(): NodeMount {
    if (this.#node === undefined) throw new Error("not open");
    return this.#node;
  }

  /** Shows a golden image with an empty cache of its own. */
  async add(number: number, run: string): Promise<NodeImage> {
    const image = openNodeImage(run, join(this.path, `cache-${number}`));
    await this.node.addImage(number, { name: run, ...image });
    this.#images.set(number, image);
    return image;
  }

  async remove(number: number): Promise<void> {
    await this.node.removeImage(number);
    await this.#images.get(number)?.blobs[Symbol.asyncDispose]();
    this.#images.delete(number);
  }

  /** An empty directory to mount something on; unmounted at the end. */
  mountpoint(name: string): string {
    const path = join(this.path, name);
    mkdirSync(path);
    this.#mountpoints.push(path);
    return path;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const path of [...this.#mountpoints, this.directory]) await unmountImage(path);
    await this.node[Symbol.asyncDispose]();
    closeSync(this.#fd);
    for (const { blobs } of this.#images.values()) await blobs[Symbol.asyncDispose]();
    rmSync(this.path, { recursive: true });
  }
}
