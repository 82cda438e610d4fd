/** A worker thread that works on layers, one after the other, until it is terminated. */
import { parentPort, workerData } from "node:worker_threads";
import { BufferPool } from "../codec/buffer-pool.ts";
import { failureOf } from "../codec/task-failure.ts";
import type {
  LayerAnswer,
  LayerNews,
  LayerRequest,
  LayerSupply,
  LayerThreadOptions,
} from "./layer-messages.ts";
import { LayerTree } from "./layer-tree.ts";
import type { PackedEntries } from "./packed-entries.ts";
import { scanTar } from "./scan-layer.ts";
import { StoredPieces } from "./stored-pieces.ts";

const { bufferCount, bufferSize, ...options } = workerData as LayerThreadOptions;
const buffers = new BufferPool(bufferCount, bufferSize);
/** Never fires: who gives a layer up ends the whole thread. */
const { signal } = new AbortController();
let pieces = new StoredPieces(release);
let tree: LayerTree | undefined;

function send(message: LayerAnswer | LayerNews, moved: ArrayBuffer[] = []): void {
  parentPort?.postMessage(message, moved);
}

function release(buffer: Uint8Array<ArrayBuffer>): void {
  send({ kind: "used", buffer }, [buffer.buffer]);
}

async function scan(): Promise<LayerAnswer> {
  const packs: PackedEntries[] = [];
  const layer = await scanTar(
    pieces,
    {
      onBatch: (batch) => send({ kind: "batch", batch }, [batch.buffer.buffer, batch.sizes.buffer]),
      onEntries: (packed) => packs.push(packed),
      onWarning: (warning) => send({ kind: "warning", warning }),
    },
    { ...options, buffers, signal },
  );
  tree = new LayerTree(packs, layer.digests, options);
  return { kind: "scanned", layer };
}

async function answer(request: LayerRequest): Promise<LayerAnswer> {
  if (request.kind === "layer") return await scan();
  if (tree === undefined) throw new TypeError(`${request.kind} before a layer`);
  switch (request.kind) {
    case "encode":
      return { kind: "encoded", bootstrap: await tree.encodeBootstrap(request.columns, request.blob) };
    case "verify":
      await tree.verify(request.what, request.readBack, request.blobId);
      return { kind: "verified" };
    case "take":
      return { kind: "entries", packs: await tree.takeEntries() };
  }
}

parentPort?.on("message", (message: LayerRequest | LayerSupply) => {
  switch (message.kind) {
    case "stored":
      pieces.push(message.buffer, message.size);
      break;
    case "end":
      pieces.end();
      break;
    case "free":
      buffers.give(message.buffer);
      break;
    default:
      if (message.kind === "layer") pieces = new StoredPieces(release);
      answer(message).then(send, (error: unknown) => send({ kind: "failed", failure: failureOf(error) }));
  }
});
