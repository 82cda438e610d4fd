import { CodedError } from "../base/errors.ts";
import { integerOption } from "../base/options.ts";
import { type FuseImage, FuseServer, type FuseServerOptions } from "./fuse-server.ts";
import type { SessionCounts } from "./fuse-session.ts";
import { MAX_IMAGE_NUMBER } from "./node-id.ts";
import { widenReadAhead } from "./read-ahead.ts";
import type { SessionRecord } from "./session-record.ts";

/** Milliseconds that workers get to leave at the end. */
const LEAVE_TIMEOUT_MS = 2000;

export interface NodeMountOptions extends FuseServerOptions {
  /** What the predecessor agreed with the kernel; absent for a connection that nobody has served yet. */
  readonly session?: SessionRecord;
}

/** What a mount of an image needs to know. */
interface ShownImage {
  readonly bootstrap: Uint8Array;
  readonly blobCount: number;
}

/**
 * The FUSE superblock of a node: a directory for each image, named by its number, with its tree, its bootstrap and its
 * blobs as files. It mounts and unmounts nothing: the connection is somebody else's, who may give it to a successor.
 */
export class NodeMount implements AsyncDisposable {
  /** Where it is mounted. */
  readonly directory: string;
  readonly session: SessionRecord;
  readonly #server: FuseServer;
  readonly #images = new Map<number, ShownImage>();
  readonly #used = new Set<number>();

  private constructor(directory: string, session: SessionRecord, server: FuseServer) {
    this.directory = directory;
    this.session = session;
    this.#server = server;
  }

  /**
   * Serves a connection: at once when it is new; else from {@link NodeMount.resend} on, and what is asked meanwhile
   * waits in the kernel.
   *
   * @param fd What mountFuseDevice gave; stays the caller's, who closes it after {@link NodeMount.ended}.
   * @param directory Where it is mounted.
   * @throws {CodedError} ERR_MOUNT_FAILED when the kernel speaks no version we do, ERR_OPTION_INVALID.
   */
  static async start(fd: number, directory: string, options: NodeMountOptions = {}): Promise<NodeMount> {
    const server = new FuseServer(fd, "images", options);
    const session = options.session ?? server.answerInit();
    if (options.session === undefined) await server.start();
    await widenReadAhead(directory);
    return new NodeMount(directory, session, server);
  }

  /** Resolves when the last worker has left: after an unmount, {@link NodeMount.leave} or disposal. */
  get ended(): Promise<void> {
    return this.#server.ended;
  }

  /**
   * Shows an image as directory `number`.
   *
   * @param number 1 to 2^24 - 1. After {@link NodeMount.removeImage} it is not used again on the same superblock, also
   *   not by a successor: who kept a file of the earlier image open would read this one's. The same image under the
   *   same number after a take-over is right.
   * @throws {CodedError} ERR_OPTION_INVALID, ERR_BOOTSTRAP_CORRUPT, ERR_FEATURE_UNSUPPORTED.
   */
  async addImage(number: number, image: FuseImage): Promise<void> {
    integerOption("image number", number, 1, MAX_IMAGE_NUMBER);
    if (this.#used.has(number)) {
      throw new CodedError("ERR_OPTION_INVALID", `image number ${number} was used before`);
    }
    this.#server.addImage(number, image);
    this.#used.add(number);
    this.#images.set(number, { bootstrap: image.bootstrap, blobCount: image.chunks.shared.length });
    if (this.#server.running > 0) await this.#server.invalidateList();
  }

  /**
   * Takes an image away; when this resolves nobody reads its cache files any more. Who still has one of its files open
   * gets errors.
   */
  async removeImage(number: number): Promise<void> {
    this.#images.delete(number);
    await this.#server.removeImage(number);
  }

  /**
   * An image that is shown.
   *
   * @throws {CodedError} ERR_OPTION_INVALID when there is none of this number.
   */
  imageOf(number: number): ShownImage {
    const image = this.#images.get(number);
    if (image === undefined) throw new CodedError("ERR_OPTION_INVALID", `the node shows no image ${number}`);
    return image;
  }

  /**
   * Starts to serve in the place of a predecessor, and asks the kernel for the requests that it took and did not
   * answer. All its images must be back.
   *
   * @throws {CodedError} ERR_FEATURE_UNSUPPORTED before Linux 6.9: those requests can only be failed, by aborting the
   *   connection.
   */
  async resend(): Promise<void> {
    if (!this.session.canResend) {
      throw new CodedError("ERR_FEATURE_UNSUPPORTED", "this kernel has no FUSE_NOTIFY_RESEND");
    }
    await this.#server.start();
    this.#server.resend();
  }

  /** Stops taking requests and finishes those taken: for a successor, who is not to start before. */
  leave(): Promise<void> {
    return this.#server.leave();
  }

  /** What the workers did so far. */
  counts(): SessionCounts {
    return this.#server.counts();
  }

  /** How many threads answer the kernel. */
  get running(): number {
    return this.#server.running;
  }

  /** Ends the workers while the process exits, when no promise settles any more. */
  closeAtExit(): void {
    this.#server.closeAtExit();
  }

  /** Fails every read that waits and stops serving. The connection stays open. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.close(LEAVE_TIMEOUT_MS);
  }
}
