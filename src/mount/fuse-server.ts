import { once } from "node:events";
import { readSync, writeSync } from "node:fs";
import { Worker } from "node:worker_threads";
import { viewOf } from "../base/bytes.ts";
import { CodedError } from "../base/errors.ts";
import { integerOption } from "../base/options.ts";
import { encodeOutHeader, FUSE_OUT_HEADER_SIZE } from "../format/fuse/header.ts";
import { FUSE_ERRORS } from "../format/fuse/opcodes.ts";
import { BootstrapView } from "../image/bootstrap-view.ts";
import { Filesystem, type ReadPlan } from "./filesystem.ts";
import { encodeReadReply, type MissedRead, REPLY_BUFFER_SIZE, REQUEST_BUFFER_SIZE } from "./fuse-handler.ts";
import { answerInit } from "./fuse-init.ts";
import {
  type BlobAdded,
  newSessionControl,
  type SessionControl,
  type SessionCounts,
  sumCounters,
  type WorkerStart,
} from "./fuse-session.ts";
import type { ImageChunks } from "./image-chunks.ts";
import { isPlanReady } from "./mount-blob.ts";
import { PendingReads } from "./pending-reads.ts";

/** Worker threads of a connection. Each takes some 8 MiB. */
export const MAX_WORKERS = 64;
const DEFAULT_WORKERS = 2;

/** Worker threads that may die before the connection is given up. Each death is a bug. */
const MAX_DEATHS = 16;

/** Reply buffers of 1 MiB kept for the next miss. */
const MAX_SPARE_REPLIES = 4;

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

/**
 * Serves one FUSE connection: worker threads answer what is at hand, this thread fetches what is missing and answers
 * those READs itself.
 */
export class FuseServer {
  /** Resolves when the last worker has ended, which takes an unmount. */
  readonly ended: Promise<void>;
  readonly #fd: number;
  readonly #bootstrap: Uint8Array;
  readonly #filesystem: Filesystem;
  readonly #chunks: ImageChunks;
  readonly #control: SessionControl;
  readonly #workers: (Worker | undefined)[];
  readonly #onError: (error: unknown) => void;
  readonly #pending: PendingReads;
  readonly #spareReplies: Uint8Array[] = [];
  #deaths = 0;
  #resolveEnded: () => void = () => undefined;

  /**
   * @param fd A /dev/fuse that is mounted; stays the caller's, who closes it after {@link FuseServer.ended}.
   * @param bootstrap A v6 bootstrap, in a SharedArrayBuffer.
   */
  constructor(fd: number, bootstrap: Uint8Array, chunks: ImageChunks, options: FuseServerOptions = {}) {
    const count = integerOption("workers", options.workers ?? DEFAULT_WORKERS, 1, MAX_WORKERS);
    this.#pending = new PendingReads(chunks, options.readDeadlineMs);
    this.#fd = fd;
    this.#bootstrap = bootstrap;
    this.#filesystem = new Filesystem(new BootstrapView(bootstrap));
    this.#chunks = chunks;
    this.#control = newSessionControl(count);
    this.#workers = Array.from({ length: count }, () => undefined);
    this.#onError = options.onError ?? (() => undefined);
    this.ended = new Promise((resolve) => {
      this.#resolveEnded = resolve;
    });
  }

  /**
   * Answers INIT and starts the workers. mount(2) must have returned: INIT waits in the queue then.
   *
   * @throws {CodedError} ERR_MOUNT_FAILED when the kernel speaks no version we do.
   */
  async start(): Promise<void> {
    const request = new Uint8Array(REQUEST_BUFFER_SIZE);
    const length = readSync(this.#fd, request, 0, request.length, null);
    const reply = answerInit(request.subarray(0, length));
    writeSync(this.#fd, reply.bytes);
    if (reply.problem !== undefined) throw new CodedError("ERR_MOUNT_FAILED", reply.problem);
    this.#chunks.onOpen((blobIndex, blob) => {
      for (const worker of this.#workers) worker?.postMessage({ blobIndex, blob } satisfies BlobAdded);
      Atomics.add(this.#control.generation, 0, 1);
    });
    await Promise.all(this.#workers.map((_, index) => this.#startWorker(index)));
  }

  /** What the workers did so far. */
  counts(): SessionCounts {
    return sumCounters(this.#control);
  }

  /** How many workers run. */
  get running(): number {
    return this.#workers.filter((worker) => worker !== undefined).length;
  }

  /** Fails every READ that waits, and lets workers leave after their next request. The mount is to be taken down. */
  close(): void {
    Atomics.store(this.#control.closing, 0, 1);
    this.#pending.close();
  }

  async #startWorker(index: number): Promise<void> {
    const workerData: WorkerStart = {
      index,
      fd: this.#fd,
      bootstrap: this.#bootstrap,
      blobs: this.#chunks.shared,
      control: this.#control,
    };
    const worker = new Worker(new URL("./fuse-worker.js", import.meta.url), { workerData });
    this.#workers[index] = worker;
    worker.on("message", (miss: MissedRead) => void this.#serve(miss));
    worker.on("error", this.#onError);
    worker.on("exit", (status) => this.#workerEnded(index, status));
    await once(worker, "online");
  }

  #workerEnded(index: number, status: number): void {
    this.#workers[index] = undefined;
    const unique = this.#control.current[index] ?? 0;
    if (status !== 0 && !this.#pending.isClosed && this.#deaths < MAX_DEATHS) {
      this.#deaths++;
      // The request that killed the worker must not be left without an answer.
      if (unique !== 0) this.#writeError(unique);
      this.#control.current[index] = 0;
      void this.#startWorker(index).catch(this.#onError);
    } else if (this.running === 0) {
      this.#resolveEnded();
    }
  }

  /** Answers a READ that a worker could not: with bytes, or with EIO, in any case before the deadline. */
  async #serve(miss: MissedRead): Promise<void> {
    try {
      const plan = this.#filesystem.plan(miss.nid, miss.offset, miss.size);
      await this.#pending.ensure(plan, `${miss.size} bytes at ${miss.offset} of inode ${miss.nid}`);
      this.#writeBytes(plan, miss.unique);
    } catch (error) {
      this.#writeError(miss.unique);
      if (!this.#pending.isClosed) this.#onError(error);
    }
  }

  #writeBytes(plan: ReadPlan, unique: number): void {
    // A failed sync takes chunks back; what is not ready reads as zeros.
    if (!isPlanReady(plan, this.#chunks.shared)) {
      throw new CodedError("ERR_CACHE_IO", "chunks are not in the cache any more");
    }
    const reply = this.#spareReplies.pop() ?? new Uint8Array(REPLY_BUFFER_SIZE);
    const length = encodeReadReply(plan, this.#chunks.shared, reply, viewOf(reply), unique);
    this.#write(reply, length);
    if (this.#spareReplies.length < MAX_SPARE_REPLIES) this.#spareReplies.push(reply);
  }

  #writeError(unique: number): void {
    const reply = new Uint8Array(FUSE_OUT_HEADER_SIZE);
    encodeOutHeader(viewOf(reply), 0, 0, FUSE_ERRORS.EIO, unique);
    this.#write(reply, reply.length);
  }

  #write(reply: Uint8Array, length: number): void {
    try {
      writeSync(this.#fd, reply, 0, length, null);
    } catch (error) {
      // ENOENT: the reader is gone. ENODEV: so is the mount.
      const { code } = error as NodeJS.ErrnoException;
      if (code !== "ENOENT" && code !== "ENODEV") this.#onError(error);
    }
  }
}
