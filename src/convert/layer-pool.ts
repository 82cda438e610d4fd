import { join } from "node:path";
import { textOf } from "../base/bytes.ts";
import { limit } from "../base/limit.ts";
import { allOrNone } from "./all-or-none.ts";
import { ChunkLanes } from "./chunk-lanes.ts";
import type { ConvertEvent } from "./convert-event.ts";
import { type ConvertedLayer, convertLayer } from "./convert-layer.ts";
import type { CheckedConvertOptions } from "./convert-options.ts";
import type { LayerPlan } from "./image-plan.ts";
import { type ReadBackBlob, readBackBlob } from "./read-back-blob.ts";
import { verifyBootstrap } from "./verify-image.ts";

/** A converted layer, and its blob as it was read again when that was asked for. */
export interface PooledLayer extends Omit<ConvertedLayer, "tree"> {
  readonly readBack: ReadBackBlob | undefined;
}

/** Where a pool works and whom it tells. */
export interface LayerPoolOptions {
  readonly convert: CheckedConvertOptions;
  /** A folder that is the pool's own. */
  readonly directory: string;
  readonly signal: AbortSignal;
  readonly onEvent: (event: ConvertEvent) => void;
}

/**
 * Converts layers, some at once, each distinct one a single time. What comes out does not depend on how
 * many run at once. Dispose of it: it has threads.
 */
export class LayerPool implements AsyncDisposable {
  readonly #options: LayerPoolOptions;
  readonly #run: ReturnType<typeof limit>;
  readonly #lanes: ChunkLanes;
  readonly #layers = new Map<string, Promise<PooledLayer>>();
  #sourceMs = 0;
  #verifyMs = 0;

  constructor(options: LayerPoolOptions) {
    this.#options = options;
    this.#run = limit(options.convert.jobs);
    this.#lanes = new ChunkLanes(options.convert);
  }

  /** Ends the threads. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#lanes[Symbol.asyncDispose]();
  }

  /** Milliseconds spent waiting for the source, summed over layers. */
  get sourceMs(): number {
    return this.#sourceMs;
  }

  /** Milliseconds spent reading blobs again, summed over layers. */
  get verifyMs(): number {
    return this.#verifyMs;
  }

  /**
   * Converts layers, and reads their blobs again when verifying is on.
   *
   * When one fails the others stop, and nothing of this pool is running any more when that is thrown.
   *
   * @throws {CodedError} as {@link convertLayer}, {@link readBackBlob} and {@link verifyBootstrap}.
   */
  async convertAll(plans: readonly LayerPlan[]): Promise<PooledLayer[]> {
    const tasks = plans.map((plan, layer) => (signal: AbortSignal) => this.#convertOnce(plan, layer, signal));
    const layers = await allOrNone(tasks, this.#options.signal);
    // What follows is this thread's work, and takes memory.
    await this.#lanes.rest();
    return layers;
  }

  #convertOnce(plan: LayerPlan, layer: number, signal: AbortSignal): Promise<PooledLayer> {
    const known = this.#layers.get(plan.key);
    if (known !== undefined) return known;
    const path = join(this.#options.directory, `layer-${this.#layers.size}.blob`);
    const converting = this.#run(() => this.#convert(plan, layer, path, signal));
    this.#layers.set(plan.key, converting);
    return converting;
  }

  async #convert(plan: LayerPlan, layer: number, path: string, signal: AbortSignal): Promise<PooledLayer> {
    const { onEvent, convert } = this.#options;
    const { size } = plan;
    let done = 0;
    onEvent({ type: "layer-started", layer, digest: plan.digest, size });
    const input = plan.input({
      onRead: (length) => {
        done += length;
        onEvent({ type: "layer-progress", layer, done, size });
      },
      onWait: (milliseconds) => {
        this.#sourceMs += milliseconds;
      },
      onWarning: ({ path: name, kind, name: what }) =>
        onEvent({ type: "left-out", layer, path: textOf(name), what: `${kind} ${textOf(what)}` }),
    });
    const converted = await convertLayer(input, path, this.#lanes, convert, signal);
    const readBack = convert.verify ? await this.#verify(input.name, converted, signal) : undefined;
    // The tree of a layer alone is of no more use.
    const { file, entries } = converted;
    const chunks = file.blob?.chunkCount ?? 0;
    onEvent({
      type: "layer-converted",
      layer,
      sourceSize: size,
      digest: file.digest,
      size: file.size,
      chunks,
    });
    return { file, entries, readBack };
  }

  async #verify(name: string, { file, tree }: ConvertedLayer, signal: AbortSignal): Promise<ReadBackBlob> {
    const start = performance.now();
    const readBack = await readBackBlob(file.path, this.#options.convert, this.#lanes.workers, signal);
    const id = file.digest.slice("sha256:".length);
    verifyBootstrap(`the blob of ${name}`, readBack.bootstrap, tree, new Map([[id, readBack]]), id);
    this.#verifyMs += performance.now() - start;
    return { ...readBack, bootstrap: new Uint8Array(0) };
  }
}
