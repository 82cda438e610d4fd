import { tracingChannel } from "node:diagnostics_channel";
import { once } from "node:events";
import { readSync, write, writeSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { Worker } from "node:worker_threads";
import { viewOf } from "../base/bytes.ts";
import { CodedError } from "../base/errors.ts";
import { integerOption } from "../base/options.ts";
import { type ReadTrace, TRACE_POINTS } from "../base/trace-points.ts";
import { encodeOutHeader, FUSE_OUT_HEADER_SIZE } from "../format/fuse/header.ts";
import { encodeInvalidEntry, encodeInvalidInode, encodeResend } from "../format/fuse/notify.ts";
import { FUSE_ERRORS, FUSE_ROOT_ID } from "../format/fuse/opcodes.ts";
import { addon } from "../native/addon.ts";
import {
  encodeReadReply,
  isReadReady,
  type MissedRead,
  REPLY_BUFFER_SIZE,
  REQUEST_BUFFER_SIZE,
} from "./fuse-handler.ts";
import { answerInit } from "./fuse-init.ts";
import {
  ENDINGS,
  type FromWorker,
  newSessionControl,
  type SessionControl,
  type SessionCounts,
  sumCounters,
  type ToWorker,
  type WorkerStart,
} from "./fuse-session.ts";
import type { ImageChunks } from "./image-chunks.ts";
import { ImageFiles, type SharedImage } from "./image-files.ts";
import { InterruptedReads } from "./interrupted-reads.ts";
import { PendingReads } from "./pending-reads.ts";
import type { SessionRecord } from "./session-record.ts";
import { type FileRead, type RootKind, StaleNode, Superblock } from "./superblock.ts";

const writeAsync = promisify(write);

/** Worker threads of a connection. Each takes some 8 MiB. */
export const MAX_WORKERS = 64;
const DEFAULT_WORKERS = 2;

/** Worker threads that may die before the connection is given up. Each death is a bug. */
const MAX_DEATHS = 16;

/** Reply buffers of 1 MiB kept for the next miss. */
const MAX_SPARE_REPLIES = 4;

/** Milliseconds between two looks at workers that are to notice something. */
const LOOK_INTERVAL_MS = 5;

/** Looks at exit, when nothing but looking is possible. */
const MAX_EXIT_LOOKS = 200;

// A channel belongs to the process: whoever names it gets the same.
const READS = tracingChannel<unknown, ReadTrace>(TRACE_POINTS.read);

/** How to serve. */
export interface FuseServerOptions {
  /**
   * Threads that answer requests.
   *
   * @default 2
   */
  readonly workers?: number;
  /**
   * Milliseconds after which a READ that could not be served fails with EIO. A reader cannot be killed while it
   * waits, not even by SIGKILL.
   *
   * @default 30000
   */
  readonly readDeadlineMs?: number;
  /** Told of every READ that failed with EIO because of a chunk, and of the death of a worker. */
  readonly onError?: (error: unknown) => void;
}

/** An image that is served, as the main thread knows it. */
interface ServedImage {
  readonly name: string;
  readonly shared: SharedImage;
  readonly chunks: ImageChunks;
  readonly pending: PendingReads;
}

/** An image as {@link FuseServer.addImage} takes it. */
export interface FuseImage {
  /** For messages. */
  readonly name: string;
  /** A v6 bootstrap in a SharedArrayBuffer; must not change any more. */
  readonly bootstrap: Uint8Array;
  readonly chunks: ImageChunks;
}

/**
 * Serves one FUSE connection: worker threads answer what is at hand, this thread fetches what is missing and answers
 * those READs itself.
 */
export class FuseServer {
  /** Resolves when the last worker has ended. */
  readonly ended: Promise<void>;
  readonly #fd: number;
  readonly #options: FuseServerOptions;
  readonly #superblock: Superblock;
  readonly #images = new Map<number, ServedImage>();
  readonly #control: SessionControl;
  readonly #workers: (Worker | undefined)[];
  readonly #onError: (error: unknown) => void;
  readonly #interrupted = new InterruptedReads((unique) => this.#writeError(unique, FUSE_ERRORS.EAGAIN));
  readonly #spareReplies: Uint8Array[] = [];
  #serving = 0;
  #deaths = 0;
  #resolveEnded: () => void = () => undefined;

  /**
   * @param fd A /dev/fuse that is mounted; stays the caller's, who closes it after {@link FuseServer.ended}.
   * @param root What the superblock shows: the tree of image 0, or a directory for each image.
   */
  constructor(fd: number, root: RootKind, options: FuseServerOptions = {}) {
    const count = integerOption("workers", options.workers ?? DEFAULT_WORKERS, 1, MAX_WORKERS);
    this.#fd = fd;
    this.#options = options;
    this.#superblock = new Superblock(root);
    this.#control = newSessionControl(count);
    this.#workers = Array.from({ length: count }, () => undefined);
    this.#onError = options.onError ?? (() => undefined);
    this.ended = new Promise((resolve) => {
      this.#resolveEnded = resolve;
    });
  }

  /**
   * Answers INIT. mount(2) must have returned: INIT waits in the queue then.
   *
   * @throws {CodedError} ERR_MOUNT_FAILED when the kernel speaks no version we do.
   */
  answerInit(): SessionRecord {
    const request = new Uint8Array(REQUEST_BUFFER_SIZE);
    const length = readSync(this.#fd, request, 0, request.length, null);
    const { bytes, problem, session } = answerInit(request.subarray(0, length));
    writeSync(this.#fd, bytes);
    if (session === undefined) throw new CodedError("ERR_MOUNT_FAILED", problem ?? "FUSE INIT");
    return session;
  }

  /** Starts the workers: requests are answered from now on. */
  async start(): Promise<void> {
    await Promise.all(this.#workers.map((_, index) => this.#startWorker(index)));
  }

  /**
   * Shows an image. Requests that come after this returned know it.
   *
   * @throws {CodedError} ERR_BOOTSTRAP_CORRUPT, ERR_FEATURE_UNSUPPORTED.
   */
  addImage(number: number, { name, bootstrap, chunks }: FuseImage): void {
    const shared = { number, bootstrap, blobs: chunks.shared };
    const image = new ImageFiles(shared);
    const pending = new PendingReads(this.#options.readDeadlineMs);
    this.#superblock.add(image);
    this.#images.set(number, { name, shared, chunks, pending });
    chunks.onOpen((blobIndex, blob) => this.#tell({ type: "blob-opened", number, blobIndex, blob }));
    this.#tell({ type: "image-added", image: shared });
  }

  /**
   * Takes an image away: reads of it fail, and nobody reads its cache files when this resolves. The kernel forgets the
   * names below the directory of the image.
   */
  async removeImage(number: number): Promise<void> {
    const image = this.#images.get(number);
    if (image === undefined) return;
    this.#superblock.remove(number);
    this.#images.delete(number);
    image.pending.close();
    this.#tell({ type: "image-removed", number });
    await this.#noticed();
    await this.#notify(encodeInvalidEntry(FUSE_ROOT_ID, String(number)));
    await this.invalidateList();
  }

  /** Makes the kernel forget the list of images. */
  invalidateList(): Promise<void> {
    return this.#notify(encodeInvalidInode(FUSE_ROOT_ID));
  }

  /** Asks the kernel for the requests that were taken and not answered. */
  resend(): void {
    writeSync(this.#fd, encodeResend());
  }

  /** Off this thread: the kernel may first wait for requests in the directory, whose answers may wait for us. */
  async #notify(message: Uint8Array): Promise<void> {
    // An error says that the kernel knows nothing of it, or that the mount is gone.
    await writeAsync(this.#fd, message).catch(() => undefined);
  }

  /** Stops taking requests, and finishes those taken. Without the addon a worker leaves after its next request. */
  async leave(): Promise<void> {
    this.#end(ENDINGS.leave);
    await this.#leaving(() => this.running === 0 && this.#serving === 0);
  }

  /** What the workers did so far. */
  counts(): SessionCounts {
    return sumCounters(this.#control);
  }

  /** How many workers run. */
  get running(): number {
    return this.#workers.filter((worker) => worker !== undefined).length;
  }

  /**
   * Fails every READ that waits and lets the workers leave. The mount is to be taken down.
   *
   * @returns Whether they left in time: without the addon nobody can wake them.
   */
  async close(timeoutMs: number): Promise<boolean> {
    this.#beginClose();
    await this.#leaving(() => this.running === 0, timeoutMs);
    return this.running === 0;
  }

  /** {@link FuseServer.close} while the process exits, when no promise settles any more. */
  closeAtExit(): void {
    this.#beginClose();
    const { threads, generation } = this.#control;
    for (let look = 0; look < MAX_EXIT_LOOKS && threads.some((thread) => thread !== 0); look++) {
      this.#wakeWorkers();
      Atomics.wait(generation, 0, Atomics.load(generation, 0), LOOK_INTERVAL_MS);
    }
  }

  #beginClose(): void {
    this.#end(ENDINGS.close);
    for (const { pending } of this.#images.values()) pending.close();
  }

  async #leaving(isDone: () => boolean, timeoutMs = Number.POSITIVE_INFINITY): Promise<void> {
    const end = performance.now() + timeoutMs;
    while (!isDone() && performance.now() < end) {
      // More than once: it does nothing to a worker that is just about to wait.
      this.#wakeWorkers();
      await delay(LOOK_INTERVAL_MS);
    }
  }

  #end(how: number): void {
    Atomics.store(this.#control.ending, 0, how);
  }

  get #isEnding(): boolean {
    return Atomics.load(this.#control.ending, 0) !== ENDINGS.none;
  }

  #wakeWorkers(): void {
    const { threads } = this.#control;
    threads.forEach((_, index) => {
      const thread = Atomics.load(threads, index);
      if (thread !== 0) addon()?.wakeThread(thread);
    });
  }

  #tell(message: ToWorker): void {
    for (const worker of this.#workers) worker?.postMessage(message);
    Atomics.add(this.#control.generation, 0, 1);
  }

  /** Resolves when every worker has seen what it was told, or will before it looks at its next request. */
  async #noticed(): Promise<void> {
    const { generation, seen, busy } = this.#control;
    const told = Atomics.load(generation, 0);
    const isLate = (_: unknown, index: number): boolean =>
      Atomics.load(busy, index) === 1 && Atomics.load(seen, index) - told < 0;
    while (this.#workers.some(isLate)) await delay(1);
  }

  async #startWorker(index: number): Promise<void> {
    const workerData: WorkerStart = {
      index,
      fd: this.#fd,
      root: this.#superblock.root,
      images: [...this.#images.values()].map(({ shared }) => shared),
      control: this.#control,
    };
    const worker = new Worker(new URL("./fuse-worker.js", import.meta.url), { workerData });
    this.#workers[index] = worker;
    worker.on("message", (message: FromWorker) => {
      if ("interrupted" in message) this.#interrupted.signalled(message.interrupted);
      else void this.#serve(message);
    });
    worker.on("error", this.#onError);
    worker.on("exit", (status) => this.#workerEnded(index, status));
    await once(worker, "online");
  }

  #workerEnded(index: number, status: number): void {
    const { current, busy, threads } = this.#control;
    this.#workers[index] = undefined;
    const unique = current[index] ?? 0;
    current[index] = 0;
    Atomics.store(busy, index, 0);
    Atomics.store(threads, index, 0);
    // The request that killed the worker must not be left without an answer.
    if (status !== 0 && unique !== 0) this.#writeError(unique, FUSE_ERRORS.EIO);
    if (status !== 0 && !this.#isEnding && this.#deaths < MAX_DEATHS) {
      this.#deaths++;
      void this.#startWorker(index).catch(this.#onError);
    } else if (this.running === 0) {
      this.#resolveEnded();
    }
  }

  /** Answers a READ that a worker could not: with bytes, or with an error, in any case before the deadline. */
  async #serve(miss: MissedRead): Promise<void> {
    this.#serving++;
    const { unique, nodeId, offset, size } = miss;
    let image: ServedImage | undefined;
    try {
      const read = this.#superblock.read(nodeId, offset, size);
      const served = this.#images.get(read.image.number);
      if (served === undefined) throw new StaleNode(`image ${read.image.number} is gone`);
      image = served;
      const trace: ReadTrace = { image: served.name, nodeId, offset, size };
      await READS.tracePromise(() => this.#answerMiss(miss, served, read), trace);
    } catch (error) {
      const isInterrupted = InterruptedReads.is(error);
      this.#writeError(unique, isInterrupted ? FUSE_ERRORS.EINTR : FUSE_ERRORS.EIO);
      if (!isInterrupted && image?.pending.isClosed === false) this.#onError(error);
    } finally {
      this.#serving--;
    }
  }

  async #answerMiss(
    { unique, pid, nodeId, offset, size }: MissedRead,
    image: ServedImage,
    read: FileRead,
  ): Promise<void> {
    const what = `${size} bytes at ${offset} of node ${nodeId} of ${image.name}`;
    const work = (signal: AbortSignal) =>
      this.#complete(image, read, () => this.#superblock.read(nodeId, offset, size), signal);
    const complete = await this.#interrupted.during(unique, pid, (controller) =>
      image.pending.run(what, work, controller),
    );
    this.#writeBytes(complete, unique);
  }

  /** Fetches what a READ lacks. A blob that is read as a file must be opened before it is known what that is. */
  async #complete(
    { chunks }: ServedImage,
    read: FileRead,
    again: () => FileRead,
    signal: AbortSignal,
  ): Promise<FileRead> {
    let known = read;
    if (known.plan === undefined && known.blobIndex !== undefined) {
      await chunks.open(known.blobIndex, signal);
      known = again();
    }
    if (known.plan !== undefined) await chunks.ensure(known.plan, { class: "demand", signal });
    return known;
  }

  #writeBytes(read: FileRead, unique: number): void {
    // A failed sync takes chunks back; what is not ready reads as zeros.
    if (!isReadReady(read)) throw new CodedError("ERR_CACHE_IO", "chunks are not in the cache any more");
    const reply = this.#spareReplies.pop() ?? new Uint8Array(REPLY_BUFFER_SIZE);
    const length = encodeReadReply(read, reply, viewOf(reply), unique, addon()?.dropCached);
    this.#write(reply, length);
    if (this.#spareReplies.length < MAX_SPARE_REPLIES) this.#spareReplies.push(reply);
  }

  #writeError(unique: number, error: number): void {
    const reply = new Uint8Array(FUSE_OUT_HEADER_SIZE);
    encodeOutHeader(viewOf(reply), 0, 0, error, unique);
    this.#write(reply, reply.length);
  }

  #write(reply: Uint8Array, length: number): void {
    try {
      writeSync(this.#fd, reply, 0, length, null);
    } catch (error) {
      // ENOENT: the reader is gone, or was answered. ENODEV: so is the mount.
      const { code } = error as NodeJS.ErrnoException;
      if (code !== "ENOENT" && code !== "ENODEV") this.#onError(error);
    }
  }
}
