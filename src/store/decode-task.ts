import type { DecodeTask, FillTask } from "../codec/chunk-tasks.ts";
import { DIGEST_LENGTH } from "../codec/digest.ts";
import type { ChunkedBlob, ChunkFile, ChunkRun } from "./chunk-source.ts";
import type { ChunkRequest } from "./request-plan.ts";

/**
 * Decoded bytes of one task, unless a single chunk is larger: a request of zeros can stand for gigabytes. Small, so that
 * several threads share a request, and who waits for its first chunk does not wait for all.
 */
const TASK_SIZE = 2 ** 20;

/** Cuts the chunks of a request into runs that are decoded at once. */
export function* decodeRuns({ table }: ChunkedBlob, request: ChunkRun): Generator<ChunkRun, void, void> {
  const end = request.first + request.count;
  let first = request.first;
  let size = 0;
  for (let index = first; index < end; index++) {
    const decodedSize = table.decodedSizes[index] as number;
    if (index > first && size + decodedSize > TASK_SIZE) {
      yield { first, count: index - first };
      first = index;
      size = 0;
    }
    size += decodedSize;
  }
  if (first < end) yield { first, count: end - first };
}

/** The task of decoding a run of a request. The stored bytes are copied: a place may give out memory that others use. */
export function decodeTask(
  blob: ChunkedBlob,
  run: ChunkRun,
  request: ChunkRequest,
  stored: Uint8Array,
): DecodeTask {
  const buffer = new Uint8Array(storedRun(blob, run, request, stored));
  return { kind: "decode", buffer, ...chunksOf(blob, run) };
}

/** The task of decoding a run of a request, all of whose chunks have digests, into a file. */
export function fillTask(
  blob: ChunkedBlob,
  run: ChunkRun,
  request: ChunkRequest,
  stored: Uint8Array,
  { fd, path }: ChunkFile,
): FillTask {
  const end = run.first + run.count;
  return {
    kind: "fill",
    stored: storedRun(blob, run, request, stored),
    ...chunksOf(blob, run),
    digests: new Uint8Array(
      blob.digests?.subarray(run.first * DIGEST_LENGTH, end * DIGEST_LENGTH) ?? new Uint8Array(0),
    ),
    fileOffsets: Float64Array.from(blob.table.decodedOffsets.subarray(run.first, end)),
    fd,
    path,
  };
}

function storedRun(
  { table }: ChunkedBlob,
  { first, count }: ChunkRun,
  request: ChunkRequest,
  stored: Uint8Array,
): Uint8Array {
  const last = first + count - 1;
  const start = table.storedOffsets[first] as number;
  const end = (table.storedOffsets[last] as number) + (table.storedSizes[last] as number);
  return stored.subarray(start - request.offset, end - request.offset);
}

function chunksOf(
  { table, compressor, digester }: ChunkedBlob,
  { first, count }: ChunkRun,
): Omit<DecodeTask, "kind" | "buffer"> {
  const end = first + count;
  const start = table.storedOffsets[first] as number;
  return {
    compressor,
    digester,
    offsets: Uint32Array.from(table.storedOffsets.subarray(first, end), (offset) => offset - start),
    storedSizes: Uint32Array.from(table.storedSizes.subarray(first, end)),
    decodedSizes: Uint32Array.from(table.decodedSizes.subarray(first, end)),
    isCompressed: Uint8Array.from({ length: count }, (_, at) => Number(table.isCompressed(first + at))),
  };
}
