import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { CodedError, isCoded } from "../base/errors.ts";
import { limit } from "../base/limit.ts";
import { type NodeImageRow, NodeImages } from "../daemon/node-images.ts";
import { SharedBlobs } from "../daemon/shared-blobs.ts";
import { NodeMount } from "../mount/node-mount.ts";
import { parseSessionRecord } from "../mount/session-record.ts";
import type { EventLog } from "../node/event-log.ts";
import { type NodeState, readState, type SavedImage, STATE_VERSION } from "../node/state-file.ts";
import { StateWriter } from "../node/state-writer.ts";
import type { StartMessage } from "../node/supervisor-messages.ts";
import { makeDirectory } from "../store/make-directory.ts";
import type { EventName } from "../telemetry/events.ts";
import type { DaemonConfig } from "./daemon-config.ts";
import { startDecodeWorkers } from "./decode-workers.ts";
import { ImageAccess } from "./image-access.ts";
import { NodeCredentials } from "./node-credentials.ts";
import { type NodeImageParts, type OpenNodeImage, reopenNodeImage } from "./node-image.ts";

/** Images opened at once at the start. */
const OPENS_AT_ONCE = 8;

/** An image of the state file that could not be opened; it stays in the file. */
export interface FailedImage {
  readonly saved: SavedImage;
  readonly problem: string;
}

/** Everything of a daemon process but its control socket: images, cache, credentials, state file. */
export class DaemonService {
  readonly credentials: NodeCredentials;
  readonly parts: NodeImageParts;
  readonly failed: FailedImage[] = [];
  readonly #config: DaemonConfig;
  readonly #start: StartMessage;
  readonly #log: EventLog;
  readonly #opened = new Map<number, { readonly saved: SavedImage; readonly image: OpenNodeImage }>();
  readonly #writer: StateWriter;
  #nextNumber = 1;
  #node: NodeMount | undefined;
  #images: NodeImages | undefined;

  private constructor(
    config: DaemonConfig,
    start: StartMessage,
    log: EventLog,
    credentials: NodeCredentials,
    access: ImageAccess,
  ) {
    this.#config = config;
    this.#start = start;
    this.#log = log;
    this.credentials = credentials;
    const directory = imagesFolder(config);
    const blobs = new SharedBlobs(config.cacheDirectory);
    this.parts = { access, blobs, workers: startDecodeWorkers(), directory };
    this.#writer = new StateWriter(this.#statePath, () => this.#state);
  }

  /**
   * Reads the state file and opens every image of it, without a network. Nothing is served yet.
   *
   * @throws {CodedError} ERR_STATE_TOO_NEW, ERR_STATE_CORRUPT, ERR_OPTION_INVALID for unreadable certificates,
   *   ERR_CACHE_IO, ERR_TARGET_IO.
   */
  static async load(config: DaemonConfig, start: StartMessage, log: EventLog): Promise<DaemonService> {
    const credentials = new NodeCredentials(config.registry, start.secrets);
    const { plainHttp, certificateFiles } = config.registry;
    const access = await ImageAccess.create({
      credentials,
      plainHttp,
      certificateFiles,
      environment: process.env,
      patience: "reader",
    });
    const service = new DaemonService(config, start, log, credentials, access);
    await mkdir(imagesFolder(config), { recursive: true, mode: 0o700 });
    await makeDirectory(config.cacheDirectory, 0o700);
    await service.#openAll((await readState(service.#statePath)).images);
    return service;
  }

  /**
   * Answers the kernel from now on.
   *
   * @param fd The FUSE connection.
   * @param isFresh Whether nobody has answered on it before.
   * @throws {CodedError} as NodeMount.start and as {@link DaemonService.load}.
   */
  async serve(fd: number, isFresh: boolean): Promise<void> {
    // The predecessor may have changed it until a moment ago.
    const state = await readState(this.#statePath);
    await this.#openAll(state.images);
    const known = state.connection;
    const session =
      isFresh || known?.number !== this.#start.connection ? undefined : parseSessionRecord(known.session);
    const onError = (error: unknown): void => this.#logError("read.failed", error);
    const node = await NodeMount.start(fd, this.#start.mountDirectory, {
      workers: this.#config.workers,
      readDeadlineMs: this.#config.readDeadlineMs,
      onError,
      ...(session !== undefined && { session }),
    });
    this.#node = node;
    const images = new NodeImages(node, {
      cacheDirectory: this.#config.cacheDirectory,
      maxImages: this.#config.maxImages,
      nextNumber: state.nextNumber,
      save: () => this.#writer.save(),
      onError: (error) => this.#logError("prefetch.failed", error),
    });
    this.#images = images;
    this.#nextNumber = state.nextNumber;
    await Promise.all(
      [...this.#opened.values()].map(async ({ saved, image }) => {
        const mounts = new Map(saved.mounts.map(({ mountpoint, engine }) => [mountpoint, engine]));
        try {
          await images.adopt(image, saved.number, mounts);
        } catch (error) {
          this.#fail(saved, error);
        }
      }),
    );
    this.#opened.clear();
    await this.#writer.save();
    if (session !== undefined) await node.resend();
  }

  /** Makes the mounts of the state file again that are not there. */
  async restoreMounts(isFresh: boolean): Promise<void> {
    await this.images.restoreMounts(isFresh, (mountpoint, error) =>
      this.#logError("mount.failed", error, { mountpoint }),
    );
    for (const { mountpoint, image, users } of this.images.staleMounts) {
      this.#log.add("mount.stale", { mountpoint, image, users: users.join(" ") });
    }
  }

  /** @throws {CodedError} ERR_DAEMON_UNAVAILABLE before {@link DaemonService.serve}. */
  get images(): NodeImages {
    if (this.#images === undefined) throw new CodedError("ERR_DAEMON_UNAVAILABLE", "nothing is served yet");
    return this.#images;
  }

  /** @throws {CodedError} ERR_DAEMON_UNAVAILABLE before {@link DaemonService.serve}. */
  get node(): NodeMount {
    if (this.#node === undefined) throw new CodedError("ERR_DAEMON_UNAVAILABLE", "nothing is served yet");
    return this.#node;
  }

  /** Takes the mounts of an image that could not be opened out of the state file. True when there was one. */
  async dropFailed(mountpoint: string): Promise<boolean> {
    const at = this.failed.findIndex(({ saved }) =>
      saved.mounts.some((mount) => mount.mountpoint === mountpoint),
    );
    if (at < 0) return false;
    this.failed.splice(at, 1);
    await this.#writer.save();
    return true;
  }

  /** Ends the service for a successor: what was asked is answered, what is ready is on the disk. */
  async leave(unmount: boolean): Promise<void> {
    if (unmount) await this.#images?.detachAll();
    await this.#node?.leave();
    await this.#images?.close();
    await this.parts.access[Symbol.asyncDispose]();
  }

  get #statePath(): string {
    return join(this.#config.stateDirectory, "state.json");
  }

  get #state(): NodeState {
    const session = this.#node?.session;
    const rows = this.#images?.rows ?? [];
    return {
      version: STATE_VERSION,
      ...(session !== undefined && { connection: { number: this.#start.connection, session } }),
      nextNumber: this.#images?.nextNumber ?? this.#nextNumber,
      images: [
        ...rows.filter(({ mounts }) => mounts.size > 0).map(savedRow),
        ...this.failed.map(({ saved }) => saved),
      ],
    };
  }

  /** Opens what is not open yet, and closes what is not wanted any more. */
  async #openAll(wanted: readonly SavedImage[]): Promise<void> {
    for (const [number, { image }] of this.#opened) {
      if (wanted.some((saved) => saved.number === number)) continue;
      this.#opened.delete(number);
      await image[Symbol.asyncDispose]();
    }
    const inTurn = limit(OPENS_AT_ONCE);
    await Promise.all(
      wanted.map((saved) =>
        inTurn(async () => {
          const known = this.#opened.get(saved.number)?.image;
          if (this.failed.some((failure) => failure.saved.number === saved.number)) return;
          try {
            const image = known ?? (await reopenNodeImage(saved, this.parts));
            this.#opened.set(saved.number, { saved, image });
          } catch (error) {
            if (!isCoded(error)) throw error;
            this.#fail(saved, error);
          }
        }),
      ),
    );
  }

  #fail(saved: SavedImage, error: unknown): void {
    const problem = error instanceof Error ? error.message : String(error);
    this.failed.push({ saved, problem });
    this.#logError("image.failed", error, { image: saved.name });
  }

  #logError(event: EventName, error: unknown, fields: Readonly<Record<string, string>> = {}): void {
    const message = error instanceof Error ? error.message : String(error);
    this.#log.add(event, { ...fields, code: isCoded(error) ? error.code : "ERR_UNCLASSIFIED", message });
  }
}

function imagesFolder({ stateDirectory }: DaemonConfig): string {
  return join(stateDirectory, "images");
}

function savedRow({ number, image, mounts }: NodeImageRow): SavedImage {
  const { name, bootstrapDigest, blobId, blobDirs } = image as OpenNodeImage;
  return {
    number,
    name,
    bootstrapDigest,
    ...(blobId !== undefined && { blobId }),
    ...(blobDirs !== undefined && { blobDirs: [...blobDirs] }),
    mounts: [...mounts].map(([mountpoint, engine]) => ({ mountpoint, engine })),
  };
}
