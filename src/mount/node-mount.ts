import type { SessionCounts } from "./fuse-session.ts";
import type { ImageChunks } from "./image-chunks.ts";
import type { SessionRecord } from "./session-record.ts";

export interface NodeMountOptions {
  /** Threads that answer requests, for all images together. @default 2 */
  readonly workers?: number;
  /** Milliseconds after which a READ that could not be served fails with EIO. @default 30000 */
  readonly readDeadlineMs?: number;
  /** What the predecessor agreed with the kernel; absent for a connection that nobody has served yet. */
  readonly session?: SessionRecord;
  /** Told of every READ that failed with EIO because of a chunk, and of the death of a worker. */
  readonly onError?: (error: unknown) => void;
}

/** An image as {@link NodeMount.addImage} takes it. */
export interface NodeImage {
  /** For messages. */
  readonly name: string;
  /** A v6 bootstrap in a SharedArrayBuffer; must not change any more. */
  readonly bootstrap: Uint8Array;
  readonly chunks: ImageChunks;
}

/**
 * The FUSE superblock of a node: a directory for each image, named by its number, with its tree, its bootstrap and its
 * blobs as files.
 */
export class NodeMount implements AsyncDisposable {
  /** Where it is mounted. */
  readonly directory: string;
  readonly session: SessionRecord;
  /** Resolves when the last worker has left: after an unmount, {@link NodeMount.leave} or disposal. */
  readonly ended: Promise<void> = Promise.resolve();

  private constructor(directory: string, session: SessionRecord) {
    this.directory = directory;
    this.session = session;
  }

  /**
   * Serves a connection.
   *
   * @param fd What mountFuseDevice gave; stays the caller's.
   * @param directory Where it is mounted.
   * @throws {CodedError} ERR_MOUNT_FAILED when the kernel speaks no version we do, ERR_OPTION_INVALID.
   */
  static async start(_fd: number, _directory: string, _options: NodeMountOptions = {}): Promise<NodeMount> {
    throw new Error("not yet");
  }

  /**
   * Shows an image as directory `number`.
   *
   * @param number 1 to 2^24 - 1, never used before on this superblock, also not by a predecessor: who kept a file of
   *   the earlier image open would read this one's. To show the same image again after a take-over is right.
   * @throws {CodedError} ERR_OPTION_INVALID, ERR_BOOTSTRAP_CORRUPT, ERR_FEATURE_UNSUPPORTED.
   */
  async addImage(_number: number, _image: NodeImage): Promise<void> {}

  /**
   * Takes an image away; when this resolves nobody reads its cache files any more. Who still has one of its files open
   * gets errors.
   */
  async removeImage(_number: number): Promise<void> {}

  /** Asks the kernel for the requests that a dead predecessor left unanswered; once all images are back. */
  resend(): void {}

  /** Stops taking requests and finishes those taken: for a successor, who is not to start before. */
  async leave(): Promise<void> {}

  counts(): SessionCounts {
    throw new Error("not yet");
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}
