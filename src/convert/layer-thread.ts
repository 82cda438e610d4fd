import { Worker } from "node:worker_threads";
import { abortedError } from "../base/abort.ts";
import { CodedError } from "../base/errors.ts";
import { BufferPool } from "../codec/buffer-pool.ts";
import { taskError } from "../codec/task-failure.ts";
import type { Blob } from "../image/chunk.ts";
import type { ChunkBatch } from "./chunk-cutter.ts";
import type {
  LayerAnswer,
  LayerNews,
  LayerRequest,
  LayerSupply,
  LayerThreadOptions,
} from "./layer-messages.ts";
import type { ChunkColumns, LayerInWork } from "./layer-tree.ts";
import type { PackedEntries } from "./packed-entries.ts";
import type { ReadBackBlob } from "./read-back-blob.ts";
import type { ScannedLayer } from "./scan-layer.ts";
import type { LayerWarning } from "./xattrs.ts";

/** Bytes of a message with stored bytes of a layer, and how many such messages are under way. */
const STORED_SIZE = 2 ** 18;
const STORED_COUNT = 4;

/** Stores the chunks of a batch; resolves to its buffer when they are. */
export type StoreBatch = (batch: ChunkBatch) => Promise<Uint8Array<ArrayBuffer>>;

/** Takes what a layer thread finds while it scans. */
export interface LayerReceiver {
  readonly store: StoreBatch;
  readonly onWarning: (warning: LayerWarning) => void;
}

/**
 * A thread that does everything of a layer that must go in order: inflate, diff id, tar, chunks and their digests, then
 * the layer's own tree. It is sent stored bytes and sends batches, both in buffers that go to and fro, so their number
 * bounds the memory.
 *
 * After an error, or when the signal of a call fired, the thread is of no further use.
 */
export class LayerThread implements AsyncDisposable {
  readonly #worker: Worker;
  readonly #stored = new BufferPool(STORED_COUNT, STORED_SIZE);
  #onAnswer: (answer: LayerAnswer) => void = () => {};
  #onNews: (news: LayerNews) => void = () => {};
  #onDeath: (error: CodedError) => void = () => {};
  #death: CodedError | undefined;

  constructor(options: LayerThreadOptions) {
    this.#worker = new Worker(new URL("./layer-worker.js", import.meta.url), { workerData: options });
    this.#worker.on("message", (message: LayerAnswer | LayerNews) => {
      if (message.kind === "used" || message.kind === "batch" || message.kind === "warning") {
        this.#onNews(message);
      } else this.#onAnswer(message);
    });
    this.#worker.on("error", (cause) => {
      this.#die(new CodedError("ERR_WORKER_FAILED", "a layer thread failed", { cause }));
    });
    this.#worker.on("exit", (status) => {
      this.#die(new CodedError("ERR_WORKER_FAILED", `a layer thread ended with status ${status}`));
    });
  }

  /**
   * Scans one layer.
   *
   * @param open Opens the stored bytes, which fail when they are not the promised ones.
   * @throws {CodedError} as scanTar, ERR_WORKER_FAILED when the thread died, and what the source or storing throws.
   */
  async scan(
    open: (signal: AbortSignal) => AsyncIterable<Uint8Array>,
    receiver: LayerReceiver,
    signal: AbortSignal,
  ): Promise<ScannedLayer> {
    const stop = new AbortController();
    const either = AbortSignal.any([signal, stop.signal]);
    const trouble = new Promise<never>((_, reject) => {
      this.#onNews = (news) => this.#take(news, receiver, reject);
    });
    const answer = this.#ask({ kind: "layer" }, signal);
    const feeding = this.#feed(open(either), either);
    try {
      const fed = feeding.then(() => answer);
      const scanned = await Promise.race([answer, trouble, fed]);
      if (scanned.kind !== "scanned") throw new TypeError(`${scanned.kind} in the place of a layer`);
      return scanned.layer;
    } finally {
      stop.abort();
      // What stopped the layer is thrown; that its source was stopped is no news.
      await feeding.catch(() => undefined);
    }
  }

  /** What is left to do of the layer that was scanned last. */
  inWork(signal: AbortSignal): LayerInWork {
    return {
      encodeBootstrap: async (columns: ChunkColumns, blob: Blob | undefined) => {
        const answer = await this.#ask({ kind: "encode", columns, blob }, signal);
        if (answer.kind !== "encoded") throw new TypeError(`${answer.kind} in the place of a bootstrap`);
        return answer.bootstrap;
      },
      verify: async (what: string, readBack: ReadBackBlob, blobId: string) => {
        await this.#ask({ kind: "verify", what, readBack, blobId }, signal);
      },
      takeEntries: async (): Promise<PackedEntries[]> => {
        const answer = await this.#ask({ kind: "take" }, signal);
        if (answer.kind !== "entries") throw new TypeError(`${answer.kind} in the place of entries`);
        return answer.packs;
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker.terminate();
  }

  #die(death: CodedError): void {
    this.#death ??= death;
    this.#onDeath(this.#death);
  }

  /** One question at a time. */
  async #ask(request: LayerRequest, signal: AbortSignal): Promise<LayerAnswer> {
    if (this.#death !== undefined) throw this.#death;
    const stopped = new AbortController();
    try {
      return await new Promise<LayerAnswer>((resolve, reject) => {
        this.#onDeath = reject;
        this.#onAnswer = (answer) => {
          if (answer.kind === "failed") reject(taskError(answer.failure));
          else resolve(answer);
        };
        if (signal.aborted) reject(abortedError(signal));
        signal.addEventListener("abort", () => reject(abortedError(signal)), { signal: stopped.signal });
        this.#worker.postMessage(request);
      });
    } finally {
      stopped.abort();
      this.#onDeath = () => {};
    }
  }

  #supply(message: LayerSupply): void {
    this.#worker.postMessage(message, "buffer" in message ? [message.buffer.buffer] : []);
  }

  #take(news: LayerNews, receiver: LayerReceiver, reject: (error: unknown) => void): void {
    switch (news.kind) {
      case "used":
        this.#stored.give(news.buffer);
        break;
      case "batch":
        receiver.store(news.batch).then((buffer) => this.#supply({ kind: "free", buffer }), reject);
        break;
      case "warning":
        receiver.onWarning(news.warning);
        break;
    }
  }

  /** Sends stored bytes in pieces of one size, whatever the source's are, and only as many as the thread uses. */
  async #feed(source: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void> {
    let buffer: Uint8Array<ArrayBuffer> | undefined;
    let size = 0;
    for await (const piece of source) {
      for (let offset = 0; offset < piece.length; ) {
        buffer ??= await this.#stored.take(signal);
        const part = piece.subarray(offset, offset + buffer.length - size);
        buffer.set(part, size);
        offset += part.length;
        size += part.length;
        if (size < buffer.length) continue;
        this.#supply({ kind: "stored", buffer, size });
        buffer = undefined;
        size = 0;
      }
    }
    if (buffer !== undefined) this.#supply({ kind: "stored", buffer, size });
    this.#supply({ kind: "end" });
  }
}
