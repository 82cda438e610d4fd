/** A worker thread that scans layers, one after the other, until it is terminated. */
import { parentPort, workerData } from "node:worker_threads";
import { BufferPool } from "../codec/buffer-pool.ts";
import { failureOf } from "../codec/task-failure.ts";
import type { FromLayerThread, LayerThreadOptions, ToLayerThread } from "./layer-messages.ts";
import { type ScanReceiver, scanTar } from "./scan-layer.ts";
import { StoredPieces } from "./stored-pieces.ts";

const { bufferCount, bufferSize, ...cutting } = workerData as LayerThreadOptions;
const buffers = new BufferPool(bufferCount, bufferSize);
/** Never fires: who gives a layer up ends the whole thread. */
const { signal } = new AbortController();
let pieces = new StoredPieces(release);

function send(message: FromLayerThread, moved: ArrayBuffer[] = []): void {
  parentPort?.postMessage(message, moved);
}

function release(buffer: Uint8Array<ArrayBuffer>): void {
  send({ kind: "used", buffer }, [buffer.buffer]);
}

async function scan(): Promise<void> {
  const receiver = {
    onBatch: (batch) => send({ kind: "batch", batch }, [batch.buffer.buffer, batch.sizes.buffer]),
    onEntries: (entries) =>
      send({ kind: "entries", entries }, [entries.numbers.buffer, entries.chunks.buffer]),
    onWarning: (warning) => send({ kind: "warning", warning }),
  } satisfies ScanReceiver;
  try {
    const layer = await scanTar(pieces, receiver, { ...cutting, buffers, signal });
    send({ kind: "scanned", layer }, [layer.digests.buffer]);
  } catch (error) {
    send({ kind: "failed", failure: failureOf(error) });
  }
}

parentPort?.on("message", (message: ToLayerThread) => {
  switch (message.kind) {
    case "layer":
      pieces = new StoredPieces(release);
      void scan();
      break;
    case "stored":
      pieces.push(message.buffer, message.size);
      break;
    case "end":
      pieces.end();
      break;
    case "free":
      buffers.give(message.buffer);
      break;
  }
});
