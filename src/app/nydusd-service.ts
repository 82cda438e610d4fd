import { closeSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { CodedError } from "../base/errors.ts";
import { NodeImages } from "../daemon/node-images.ts";
import type { ServedImage } from "../daemon/served-image.ts";
import { SharedBlobs } from "../daemon/shared-blobs.ts";
import { cleanStaleMount } from "../daemon/stale-mounts.ts";
import { NodeMount } from "../mount/node-mount.ts";
import type { EventLog } from "../node/event-log.ts";
import { closeConnection, type NodeConnection, openConnection } from "../node/node-connection.ts";
import type { Credentials } from "../registry/credentials.ts";
import { makeDirectory } from "../store/make-directory.ts";
import { startDecodeWorkers } from "./decode-workers.ts";
import { ImageAccess } from "./image-access.ts";
import { readMetaFile, serveLocated } from "./node-image.ts";
import { type NydusdBackend, parseNydusdConfig } from "./nydusd-config.ts";
import { locateNydusImage } from "./open-nydus-image.ts";

/** Files beside a bootstrap that are looked at. */
const MAX_META_FILES = 4096;
/** Images of one process. */
const MAX_IMAGES = 65_536;

/** How nydusd's command line says to serve. */
export interface NydusdOptions {
  readonly id: string;
  /** Below it images are mounted, or the only one at it. */
  readonly mountpoint: string;
  /** Folder of the cache of images whose configuration names none. */
  readonly cacheDirectory: string;
  /** Where the FUSE filesystem lies that the images hang on. */
  readonly nodeDirectory: string;
  readonly threads: number;
}

/** Serves images in nydusd's place, in one process: what nydus-snapshotter asks of it over nydusd's API. */
export class NydusdService {
  readonly images: NodeImages;
  readonly #options: NydusdOptions;
  readonly #connection: NodeConnection;
  readonly #node: NodeMount;
  readonly #log: EventLog;
  readonly #workers = startDecodeWorkers();
  /** By folder of the cache. */
  readonly #caches = new Map<string, SharedBlobs>();
  /** By mountpoint: credentials that were renewed since, and what holds the connections of the image. */
  readonly #renewed = new Map<string, Credentials>();

  private constructor(options: NydusdOptions, connection: NodeConnection, node: NodeMount, log: EventLog) {
    this.#options = options;
    this.#connection = connection;
    this.#node = node;
    this.#log = log;
    this.images = new NodeImages(node, {
      cacheDirectory: options.cacheDirectory,
      maxImages: MAX_IMAGES,
      nextNumber: 1,
      save: async () => undefined,
      onError: (error) => log.add("prefetch.failed", { message: String(error) }),
    });
  }

  /** @throws {CodedError} ERR_MOUNT_FAILED, ERR_ADDON_MISSING, ERR_OPTION_INVALID. */
  static async start(options: NydusdOptions, log: EventLog): Promise<NydusdService> {
    const connection = await openConnection(options.nodeDirectory);
    const node = await NodeMount.start(connection.fd, options.nodeDirectory, {
      workers: options.threads,
      onError: (error) => log.add("read.failed", { message: String(error) }),
    });
    return new NydusdService(options, connection, node, log);
  }

  get id(): string {
    return this.#options.id;
  }

  /** Bytes that readers got from the daemon, for all images. */
  get bytesRead(): number {
    return this.#node.counts().readBytes;
  }

  /** The image that is mounted at a path as the API has it. */
  find(path: string): ServedImage | undefined {
    return this.images.find(this.#placeOf(path))?.image;
  }

  /**
   * Mounts an image.
   *
   * @param path Below the mountpoint of the process; `/` for the mountpoint itself.
   * @param bootstrap File of the bootstrap.
   * @param configText nydusd's configuration, in JSON.
   * @throws {CodedError} as parseNydusdConfig, locateNydusImage and NodeImages.mount.
   */
  async mount(path: string, bootstrap: string, configText: string): Promise<void> {
    const place = this.#placeOf(path);
    const { backend, workDirectory, prefetch } = parseNydusdConfig(configText);
    await makeDirectory(place);
    // A process that was killed leaves a mount that answers with errors.
    if (this.images.find(place) === undefined) await cleanStaleMount(place);
    const directory = workDirectory ?? this.#options.cacheDirectory;
    const made = await this.images.mount(
      () => this.#open(place, bootstrap, backend, directory),
      place,
      "auto",
    );
    this.#log.add("image.mounted", { mountpoint: place, engine: made.engine, reason: made.reason });
    this.images.startPrefetch(made.row, prefetch);
  }

  async unmount(path: string): Promise<void> {
    const place = this.#placeOf(path);
    await this.images.unmount(place);
    this.#renewed.delete(place);
    this.#log.add("image.unmounted", { mountpoint: place });
  }

  /** Uses other credentials for an image from the next login on. */
  renewCredentials(path: string, credentials: Credentials): void {
    this.#renewed.set(this.#placeOf(path), credentials);
  }

  /** Unmounts everything and stops serving. */
  async close(): Promise<void> {
    await this.images.detachAll();
    await this.#node[Symbol.asyncDispose]();
    await this.images.close();
    await this.#workers[Symbol.asyncDispose]();
    await closeConnection(this.#options.nodeDirectory);
    closeSync(this.#connection.fd);
  }

  #placeOf(path: string): string {
    const root = this.#options.mountpoint;
    const place = resolve(root, `.${path.startsWith("/") ? path : `/${path}`}`);
    if (place !== root && !place.startsWith(`${root}/`)) {
      throw new CodedError("ERR_OPTION_INVALID", `${path} is not below ${root}`);
    }
    return place;
  }

  async #open(
    place: string,
    bootstrap: string,
    backend: NydusdBackend,
    directory: string,
  ): Promise<ServedImage> {
    const blobs = this.#caches.get(directory) ?? new SharedBlobs(directory);
    this.#caches.set(directory, blobs);
    await makeDirectory(directory, 0o700);
    const common = { blobs, workers: this.#workers, directory: undefined };
    const blobDirs = backend.kind === "localfs" ? backend.directories : [];
    const found = await locateNydusImage({ bootstrap, blobDirs }, { signal: new AbortController().signal });
    const metaFiles = await readMetaFiles(dirname(bootstrap));
    if (backend.kind === "localfs") {
      const access = await ImageAccess.create({ environment: process.env });
      return serveLocated({ ...found, metaFiles }, { ...common, access }, blobDirs);
    }
    const access = await ImageAccess.create({
      environment: process.env,
      patience: "reader",
      plainHttp: backend.plainHttp,
      certificateFiles: backend.certificateFiles,
      credentials: { find: async () => this.#renewed.get(place) ?? backend.credentials },
    });
    const source = access.openSource(`${backend.host}/${backend.repository}`);
    const located = { ...found, metaFiles, source: source.blobs, imageSource: source, resources: access };
    return serveLocated(located, { ...common, access }, undefined);
  }
}

/** Chunk tables that lie beside a bootstrap, where nydus-snapshotter unpacks the bootstrap layer. */
async function readMetaFiles(folder: string): Promise<ReadonlyMap<string, Uint8Array>> {
  const metaFiles = new Map<string, Uint8Array>();
  const names = await readdir(folder).catch(() => []);
  for (const name of names.slice(0, MAX_META_FILES)) {
    const id = /^([0-9a-f]{64})\.blob\.meta$/.exec(basename(name))?.[1];
    const bytes = id === undefined ? undefined : await readMetaFile(join(folder, name));
    if (id !== undefined && bytes !== undefined) metaFiles.set(id, bytes);
  }
  return metaFiles;
}
