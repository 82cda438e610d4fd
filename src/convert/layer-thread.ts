import { Worker } from "node:worker_threads";
import { abortedError } from "../base/abort.ts";
import { CodedError } from "../base/errors.ts";
import { BufferPool } from "../codec/buffer-pool.ts";
import { taskError } from "../codec/task-failure.ts";
import type { ChunkBatch } from "./chunk-cutter.ts";
import type { FromLayerThread, LayerThreadOptions, ToLayerThread } from "./layer-messages.ts";
import type { PackedEntries } from "./packed-entries.ts";
import type { ScannedLayer } from "./scan-layer.ts";
import type { LayerWarning } from "./xattrs.ts";

/** Bytes of a message with stored bytes of a layer, and how many such messages are under way. */
const STORED_SIZE = 2 ** 18;
const STORED_COUNT = 4;

/** Takes what a layer thread finds. */
export interface LayerReceiver {
  /** Stores the chunks of a batch; resolves to the buffer of the batch, or another of that size, when they are. */
  readonly store: (batch: ChunkBatch) => Promise<Uint8Array<ArrayBuffer>>;
  readonly onEntries: (entries: PackedEntries) => void;
  readonly onWarning: (warning: LayerWarning) => void;
}

/**
 * A thread that does everything of a layer that must go in order: inflate, diff id, tar, chunks and their digests. It
 * is sent stored bytes and sends batches, both with buffers that go to and fro, so their number bounds the memory.
 */
export class LayerThread implements AsyncDisposable {
  readonly #worker: Worker;
  readonly #stored = new BufferPool(STORED_COUNT, STORED_SIZE);
  #onMessage: (message: FromLayerThread) => void = () => {};
  #onDeath: (error: CodedError) => void = () => {};
  #death: CodedError | undefined;

  constructor(options: LayerThreadOptions) {
    this.#worker = new Worker(new URL("./layer-worker.js", import.meta.url), { workerData: options });
    this.#worker.on("message", (message: FromLayerThread) => this.#onMessage(message));
    this.#worker.on("error", (cause) => {
      this.#die(new CodedError("ERR_WORKER_FAILED", "a layer thread failed", { cause }));
    });
    this.#worker.on("exit", (status) => {
      this.#die(new CodedError("ERR_WORKER_FAILED", `a layer thread ended with status ${status}`));
    });
  }

  /**
   * Scans one layer; one at a time. After an error the thread is of no further use.
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
    let feeding: Promise<void> | undefined;
    try {
      return await new Promise<ScannedLayer>((resolve, reject) => {
        this.#onDeath = reject;
        if (this.#death !== undefined) reject(this.#death);
        this.#onMessage = (message) => {
          if (message.kind === "scanned") resolve(message.layer);
          else if (message.kind === "failed") reject(taskError(message.failure));
          else this.#take(message, receiver, reject);
        };
        signal.addEventListener("abort", () => reject(abortedError(signal)), { signal: stop.signal });
        this.#post({ kind: "layer" });
        feeding = this.#feed(open(either), either);
        feeding.catch(reject);
      });
    } finally {
      stop.abort();
      this.#onDeath = () => {};
      // What stopped the layer is thrown; that its source was stopped is no news.
      await feeding?.catch(() => undefined);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker.terminate();
  }

  #die(death: CodedError): void {
    this.#death ??= death;
    this.#onDeath(this.#death);
  }

  #post(message: ToLayerThread): void {
    this.#worker.postMessage(message, "buffer" in message ? [message.buffer.buffer] : []);
  }

  #take(
    message: Exclude<FromLayerThread, { kind: "scanned" | "failed" }>,
    receiver: LayerReceiver,
    reject: (error: unknown) => void,
  ): void {
    switch (message.kind) {
      case "used":
        this.#stored.give(message.buffer);
        break;
      case "batch":
        receiver.store(message.batch).then((buffer) => this.#post({ kind: "free", buffer }), reject);
        break;
      case "entries":
        receiver.onEntries(message.entries);
        break;
      case "warning":
        receiver.onWarning(message.warning);
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
        this.#post({ kind: "stored", buffer, size });
        buffer = undefined;
        size = 0;
      }
    }
    if (buffer !== undefined) this.#post({ kind: "stored", buffer, size });
    this.#post({ kind: "end" });
  }
}
