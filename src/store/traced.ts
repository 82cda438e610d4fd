import { tracingChannel } from "node:diagnostics_channel";
import { type FetchTrace, type RequestTrace, TRACE_POINTS } from "../base/trace-points.ts";
import type { BlobSource } from "./blob-source.ts";
import type { ChunkSource } from "./chunk-source.ts";
import { chunkDigest } from "./decode-chunk.ts";

// Channels belong to the process: whoever names one gets the same.
const FETCHES = tracingChannel<unknown, FetchTrace>(TRACE_POINTS.fetch);
const REQUESTS = tracingChannel<unknown, RequestTrace>(TRACE_POINTS.request);

/** A source whose fetches can be watched at the trace point `fetch`. */
export function tracedChunks(source: ChunkSource): ChunkSource {
  return {
    name: source.name,
    fetch(blob, run, options, sink) {
      if (!FETCHES.hasSubscribers) return source.fetch(blob, run, options, sink);
      const trace: FetchTrace = {
        source: source.name,
        blobId: blob.id,
        first: run.first,
        count: run.count,
        class: options.class,
        unverifiedChunks: 0,
      };
      const fetch = (): Promise<void> =>
        source.fetch(blob, run, options, (index, decoded) => {
          if (chunkDigest(blob, index) === undefined) trace.unverifiedChunks++;
          return sink(index, decoded);
        });
      return FETCHES.tracePromise(fetch, trace);
    },
  };
}

/** A place whose reads can be watched at the trace point `request`. */
export function tracedBlobs(blobs: BlobSource): BlobSource {
  return {
    name: blobs.name,
    isHedgeable: blobs.isHedgeable === true,
    size: (blobId, options) => blobs.size(blobId, options),
    read(blobId, offset, length, options) {
      if (!REQUESTS.hasSubscribers) return blobs.read(blobId, offset, length, options);
      const trace: RequestTrace = { source: blobs.name, blobId, offset, length };
      return REQUESTS.tracePromise(() => blobs.read(blobId, offset, length, options), trace);
    },
  };
}
