import { join } from "node:path";
import { textOf } from "../base/bytes.ts";
import { limit } from "../base/limit.ts";
import { allOrNone } from "./all-or-none.ts";
import { ChunkLanes } from "./chunk-lanes.ts";
import type { ConvertEvent } from "./convert-event.ts";
import { type ConvertedLayer, convertLayer } from "./convert-layer.ts";
import type { CheckedConvertOptions } from "./convert-options.ts";
import type { LayerPlan } from "./image-plan.ts";

/** A converted layer, as the image needs it. */
export type PooledLayer = Pick<ConvertedLayer, "entries" | "file" | "readBack">;

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
   * @throws {CodedError} as {@link convertLayer}.
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
    this.#verifyMs += converted.verifyMs;
    const { file, entries, readBack } = converted;
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
}
