import { Worker } from "node:worker_threads";
import { CodedError } from "../base/errors.ts";
import type {
  ChunkResult,
  ChunkTask,
  DecodedChunks,
  DecodedRun,
  DecodeTask,
  EncodedChunks,
  EncodeTask,
  FilledRun,
  FillTask,
  ReadTask,
  ResultMessage,
  TaskMessage,
} from "./chunk-tasks.ts";
import { taskError } from "./task-failure.ts";

/** Tasks a thread has at hand: while it works on one, the next is there without waiting for the main thread. */
const TASKS_PER_THREAD = 2;

interface PendingTask {
  readonly id: number;
  readonly task: ChunkTask;
  readonly resolve: (result: ChunkResult) => void;
  readonly reject: (error: Error) => void;
}

interface Thread {
  readonly worker: Worker;
  readonly running: Map<number, PendingTask>;
}

/**
 * Threads that compress chunks, and read, decode and digest them. Tasks start in the order they are given, but end in any; which
 * thread runs a task makes no difference to its result.
 *
 * Threads start when there is work for them and end with the pool: dispose of it, or the process does not exit. One that
 * dies fails the tasks it had; later ones get a new thread.
 */
export class ChunkWorkers implements AsyncDisposable {
  /** Most threads there will be. */
  readonly width: number;
  readonly #startWorker: () => Worker;
  readonly #threads: Thread[] = [];
  readonly #queue: PendingTask[] = [];
  #lastId = 0;
  #failure: CodedError | undefined;

  /** @param startWorker Starts what answers the messages of {@link ChunkTask}s. @default a thread of chunk-worker.ts */
  constructor(width: number, startWorker: () => Worker = startChunkWorker) {
    this.width = width;
    this.#startWorker = startWorker;
  }

  /**
   * Compresses chunks. The task's buffer is gone until the result brings it back.
   *
   * @throws {CodedError} ERR_CODEC_MISSING, ERR_FEATURE_UNSUPPORTED as {@link compressChunk}; ERR_WORKER_FAILED
   *   when the threads are gone.
   */
  async encode(task: EncodeTask): Promise<EncodedChunks> {
    return (await this.#submit(task)) as EncodedChunks;
  }

  /**
   * Reads chunks from a file, decodes and digests them.
   *
   * @throws {CodedError} ERR_WORKER_FAILED when the threads are gone.
   */
  async read(task: ReadTask): Promise<DecodedChunks> {
    return (await this.#submit(task)) as DecodedChunks;
  }

  /**
   * Decodes and digests chunks. The task's buffer is gone.
   *
   * @throws {CodedError} ERR_WORKER_FAILED when the threads are gone.
   */
  async decode(task: DecodeTask): Promise<DecodedRun> {
    return (await this.#submit(task)) as DecodedRun;
  }

  /**
   * Decodes chunks, and writes those to a file whose digests are right.
   *
   * @throws {CodedError} ERR_CACHE_IO when the file cannot be written; ERR_CODEC_MISSING; ERR_WORKER_FAILED when the
   *   threads are gone.
   */
  async fill(task: FillTask): Promise<FilledRun> {
    return (await this.#submit(task)) as FilledRun;
  }

  /** Starts a thread before there is work for it, so that the first task need not wait for that. */
  start(): void {
    if (this.#threads.length === 0) this.#startThread();
  }

  /** Ends the threads, which must have nothing to do, and gives their memory back. New work starts new ones. */
  async rest(): Promise<void> {
    const threads = this.#threads.splice(0);
    await Promise.all(threads.map(({ worker }) => worker.terminate()));
  }

  /** Ends the threads; what was not done is rejected with ERR_WORKER_FAILED. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#close(new CodedError("ERR_WORKER_FAILED", "the worker threads were closed"));
    await Promise.all(this.#threads.map(({ worker }) => worker.terminate()));
  }

  #submit(task: ChunkTask): Promise<ChunkResult> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) {
        reject(this.#failure);
        return;
      }
      this.#queue.push({ id: ++this.#lastId, task, resolve, reject });
      this.#assign();
    });
  }

  #assign(): void {
    for (let next = this.#queue[0]; next !== undefined; next = this.#queue[0]) {
      const thread = this.#freeThread();
      if (thread === undefined) return;
      this.#queue.shift();
      thread.running.set(next.id, next);
      const moved = "buffer" in next.task ? [next.task.buffer.buffer] : [];
      thread.worker.postMessage({ id: next.id, task: next.task } satisfies TaskMessage, moved);
    }
  }

  #freeThread(): Thread | undefined {
    let free: Thread | undefined;
    for (const thread of this.#threads) {
      if (free === undefined || thread.running.size < free.running.size) free = thread;
    }
    if (this.#threads.length < this.width && (free === undefined || free.running.size > 0)) {
      return this.#startThread();
    }
    return free !== undefined && free.running.size < TASKS_PER_THREAD ? free : undefined;
  }

  #startThread(): Thread {
    const worker = this.#startWorker();
    const thread: Thread = { worker, running: new Map() };
    worker.on("message", (message: ResultMessage) => this.#finish(thread, message));
    worker.on("error", (cause) => {
      this.#lose(thread, new CodedError("ERR_WORKER_FAILED", "a worker thread failed", { cause }));
    });
    worker.on("exit", (status) => {
      this.#lose(thread, new CodedError("ERR_WORKER_FAILED", `a worker thread ended with status ${status}`));
    });
    this.#threads.push(thread);
    return thread;
  }

  #finish(thread: Thread, { id, result, failure }: ResultMessage): void {
    const pending = thread.running.get(id);
    thread.running.delete(id);
    if (result !== undefined) pending?.resolve(result);
    else if (failure !== undefined) pending?.reject(taskError(failure));
    this.#assign();
  }

  /** A thread that died took its tasks along. A mount lives for months: one such accident must not end it. */
  #lose(thread: Thread, error: CodedError): void {
    const place = this.#threads.indexOf(thread);
    if (place < 0) return;
    this.#threads.splice(place, 1);
    for (const { reject } of thread.running.values()) reject(error);
    this.#assign();
  }

  #close(error: CodedError): void {
    this.#failure ??= error;
    const pending = [...this.#threads.flatMap(({ running }) => [...running.values()]), ...this.#queue];
    for (const thread of this.#threads) thread.running.clear();
    this.#queue.length = 0;
    for (const { reject } of pending) reject(this.#failure);
  }
}

function startChunkWorker(): Worker {
  return new Worker(new URL("./chunk-worker.js", import.meta.url));
}
