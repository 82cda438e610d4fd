import { access } from "node:fs/promises";
import { join } from "node:path";
import { CodedError, isCoded } from "../base/errors.ts";
import { ImageChunks } from "../mount/image-chunks.ts";
import { findMount, listAllMounts } from "../mount/mount-table.ts";
import { mountNodeImage, unmountImage } from "../mount/node-engines.ts";
import type { NodeMount } from "../mount/node-mount.ts";
import { makeDirectory } from "../store/make-directory.ts";
import { SerialQueue } from "./serial-queue.ts";
import { type ServedImage, trustedCacheFile } from "./served-image.ts";
import { cleanStaleMount } from "./stale-mounts.ts";

/** What may be asked for a mount. */
export type WantedEngine = "auto" | "erofs" | "fuse";

/** An image of the node and where it is mounted. */
export interface NodeImageRow {
  /** Its directory on the node's FUSE filesystem. */
  readonly number: number;
  readonly image: ServedImage;
  /** By mountpoint, what was asked for. */
  readonly mounts: ReadonlyMap<string, WantedEngine>;
}

/** A mount as it was made. */
export interface MadeMount {
  readonly row: NodeImageRow;
  readonly mountpoint: string;
  readonly engine: "erofs" | "fuse";
  readonly reason?: string;
}

/** A mount that died with an earlier connection and that somebody still uses. */
export interface UsedStaleMount {
  readonly mountpoint: string;
  readonly image: string;
  readonly users: readonly number[];
}

export interface NodeImagesOptions {
  /** Folder of the cache files. */
  readonly cacheDirectory: string;
  /** Images at once. */
  readonly maxImages: number;
  /** The number that the next image gets; raised with each. */
  readonly nextNumber: number;
  /** Writes the table down; a mount is there for nobody before this has resolved. */
  readonly save: () => Promise<void>;
  /** Told of a prefetch that failed. */
  readonly onError: (error: unknown) => void;
}

interface Row extends NodeImageRow {
  readonly mounts: Map<string, WantedEngine>;
  /** Settles when the image can be read. */
  readonly ready: Promise<void>;
  /** Ends what is fetched in the background. */
  readonly ending: AbortController;
}

/** The images of a node: which are served, under which number, and where they are mounted. */
export class NodeImages {
  /** Mounts of an earlier connection that were cleaned away while somebody still used them. */
  readonly staleMounts: UsedStaleMount[] = [];
  readonly #node: NodeMount;
  readonly #options: NodeImagesOptions;
  readonly #rows = new Map<string, Row>();
  readonly #queue = new SerialQueue();
  #nextNumber: number;

  constructor(node: NodeMount, options: NodeImagesOptions) {
    this.#node = node;
    this.#options = options;
    this.#nextNumber = options.nextNumber;
  }

  get rows(): readonly NodeImageRow[] {
    return [...this.#rows.values()];
  }

  get nextNumber(): number {
    return this.#nextNumber;
  }

  /** The image that is mounted at a place. */
  find(mountpoint: string): NodeImageRow | undefined {
    return this.#find(mountpoint);
  }

  /**
   * Serves an image under the number that a predecessor gave it. Nothing is mounted.
   *
   * @throws {CodedError} as NodeMount.addImage.
   */
  async adopt(image: ServedImage, number: number, mounts: ReadonlyMap<string, WantedEngine>): Promise<void> {
    const row = this.#insert(image, number);
    for (const [mountpoint, engine] of mounts) row.mounts.set(mountpoint, engine);
    await row.ready;
  }

  /**
   * Makes the mounts of adopted images again that are not there.
   *
   * @param isFresh Whether nobody has served this connection before: what is mounted then died with an earlier one.
   * @param onFailure Told of mounts that could not be made; they stay in the table.
   */
  async restoreMounts(
    isFresh: boolean,
    onFailure: (mountpoint: string, error: unknown) => void,
  ): Promise<void> {
    if (!isFresh) await this.#sweepOrphans();
    const all = [...this.#rows.values()].flatMap((row) =>
      [...row.mounts].map(([mountpoint, engine]) => ({ row, mountpoint, engine })),
    );
    await Promise.all(
      all.map(({ row, mountpoint, engine }) =>
        this.#queue.run(mountpoint, async () => {
          try {
            if (isFresh) await this.#cleanStale(row, mountpoint);
            else if (findMount(mountpoint) !== undefined) return;
            // A place below /run is gone after a reboot.
            await makeDirectory(mountpoint);
            await this.#mountRow(row, mountpoint, engine);
          } catch (error) {
            onFailure(mountpoint, error);
          }
        }),
      ),
    );
  }

  /**
   * Mounts an image. The same image at the same place again is no error.
   *
   * @param open Opens the image; one that is served already under another mount is disposed again.
   * @param mountpoint Absolute, without symbolic links, an existing directory.
   * @throws {CodedError} ERR_TARGET_EXISTS when another image is mounted there, ERR_LIMIT_EXCEEDED, ERR_MOUNT_FAILED,
   *   and what `open` throws.
   */
  mount(open: () => Promise<ServedImage>, mountpoint: string, engine: WantedEngine): Promise<MadeMount> {
    return this.#queue.run(mountpoint, async () => {
      const image = await open();
      const known = this.#rows.get(keyOf(image));
      const there = this.#find(mountpoint);
      if (there !== undefined && there !== known) {
        await image[Symbol.asyncDispose]();
        throw new CodedError("ERR_TARGET_EXISTS", `${there.image.name} is mounted at ${mountpoint}`);
      }
      if (known !== undefined) await image[Symbol.asyncDispose]();
      if (known !== undefined && there !== undefined) {
        return { row: known, mountpoint, engine: engineAt(mountpoint) };
      }
      const row = known ?? (await this.#addNew(image));
      row.mounts.set(mountpoint, engine);
      try {
        await row.ready;
        // Written down first: a daemon that dies in between leaves no mount that its successor does not know.
        await this.#options.save();
        return { row, mountpoint, ...(await this.#mountRow(row, mountpoint, engine)) };
      } catch (error) {
        row.mounts.delete(mountpoint);
        await this.#closeUnused(row);
        await this.#options.save();
        throw error;
      }
    });
  }

  /**
   * Takes a mount away; an image that is mounted nowhere else is served no more. Never waits for who uses the mount:
   * they get errors.
   *
   * @throws {CodedError} ERR_PATH_NOT_FOUND when no image is mounted there, ERR_MOUNT_FAILED.
   */
  unmount(mountpoint: string): Promise<void> {
    return this.#queue.run(mountpoint, async () => {
      const row = this.#find(mountpoint);
      if (row === undefined) {
        throw new CodedError("ERR_PATH_NOT_FOUND", `no image is mounted at ${mountpoint}`);
      }
      row.mounts.delete(mountpoint);
      await this.#options.save();
      await unmountImage(mountpoint);
      await this.#closeUnused(row);
    });
  }

  /** Takes every mount away but keeps the table, for a later start. */
  async detachAll(): Promise<void> {
    const mountpoints = [...this.#rows.values()].flatMap((row) => [...row.mounts.keys()]);
    await Promise.allSettled(mountpoints.map((mountpoint) => unmountImage(mountpoint)));
  }

  /** Fetches chunks of an image in the background, until it is unmounted. */
  startPrefetch({ number, image }: NodeImageRow, kind: "none" | "hints" | "all"): void {
    const row = this.#rows.get(keyOf(image));
    if (row === undefined || row.number !== number || kind === "none") return;
    image.prefetch(kind, row.ending.signal).catch((error: unknown) => {
      if (!isCoded(error, "ERR_ABORTED")) this.#options.onError(error);
    });
  }

  /** Writes down what is ready and closes all images, for the end of the process. Nothing is unmounted. */
  async close(): Promise<void> {
    for (const row of this.#rows.values()) row.ending.abort();
    await Promise.allSettled([...this.#rows.values()].map(({ image }) => image[Symbol.asyncDispose]()));
  }

  #find(mountpoint: string): Row | undefined {
    return [...this.#rows.values()].find((row) => row.mounts.has(mountpoint));
  }

  async #addNew(image: ServedImage): Promise<Row> {
    if (this.#rows.size >= this.#options.maxImages) {
      await image[Symbol.asyncDispose]();
      throw new CodedError(
        "ERR_LIMIT_EXCEEDED",
        `${this.#rows.size} images are mounted, more are not allowed`,
      );
    }
    return this.#insert(image, this.#nextNumber++, image.keep.bind(image));
  }

  #insert(image: ServedImage, number: number, keep?: (number: number) => Promise<void>): Row {
    const serve = async (): Promise<void> => {
      await keep?.(number);
      const chunks = new ImageChunks(image.blobs, image.blobIds.length);
      await this.#node.addImage(number, { name: image.name, bootstrap: image.bootstrap, chunks });
    };
    const row: Row = { number, image, mounts: new Map(), ready: serve(), ending: new AbortController() };
    row.ready.catch(() => undefined);
    this.#rows.set(keyOf(image), row);
    return row;
  }

  async #mountRow(
    row: Row,
    mountpoint: string,
    engine: WantedEngine,
  ): Promise<{ engine: "erofs" | "fuse"; reason: string }> {
    const { hasChunksInPlace } = row.image;
    if (engine === "erofs" && !hasChunksInPlace) {
      throw new CodedError("ERR_MOUNT_FAILED", "engine erofs: the kernel reads no RAFS v5 images");
    }
    const usable = hasChunksInPlace ? engine : "fuse";
    const cacheFiles = usable === "fuse" ? [] : await this.#completeFiles(row.image);
    return mountNodeImage(this.#node, row.number, mountpoint, { engine: usable, cacheFiles });
  }

  /** Cache files that the kernel may read without us. A file without a record is not opened: that may take a request. */
  #completeFiles({ blobIds, blobs }: ServedImage): Promise<(string | undefined)[]> {
    const { signal } = new AbortController();
    return Promise.all(
      blobIds.map(async (id, row) => {
        const record = join(this.#options.cacheDirectory, `${id}.blob.data.verified`);
        const hasRecord = await access(record).then(
          () => true,
          () => false,
        );
        return hasRecord ? trustedCacheFile(await blobs.open(row, { signal })) : undefined;
      }),
    );
  }

  /** Takes away what hangs on the node's connection and nobody knows: a predecessor died while it unmounted that. */
  async #sweepOrphans(): Promise<void> {
    const { directory } = this.#node;
    const rows = listAllMounts();
    const own = rows.find(({ mountpoint }) => mountpoint === directory)?.device;
    const orphans = rows.filter(
      ({ device, source, type, mountpoint }) =>
        (device === own || (type === "erofs" && source.startsWith(`${directory}/`))) &&
        mountpoint !== directory &&
        this.#find(mountpoint) === undefined,
    );
    for (const { mountpoint } of orphans) await unmountImage(mountpoint);
  }

  async #cleanStale(row: Row, mountpoint: string): Promise<void> {
    const users = await cleanStaleMount(mountpoint);
    if (users !== undefined && users.length > 0) {
      this.staleMounts.push({ mountpoint, image: row.image.name, users });
    }
  }

  async #closeUnused(row: Row): Promise<void> {
    if (row.mounts.size > 0) return;
    this.#rows.delete(keyOf(row.image));
    row.ending.abort();
    await row.ready.catch(() => undefined);
    await this.#node.removeImage(row.number);
    await row.image[Symbol.asyncDispose]();
    await row.image.forget(row.number);
  }
}

/** Images of one name and one bootstrap are one; a tag that moved is another image. */
function keyOf({ name, bootstrapDigest }: ServedImage): string {
  return `${bootstrapDigest} ${name}`;
}

function engineAt(mountpoint: string): "erofs" | "fuse" {
  return findMount(mountpoint)?.type === "erofs" ? "erofs" : "fuse";
}
