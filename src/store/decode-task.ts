import type { DecodeTask } from "../codec/chunk-tasks.ts";
import type { ChunkedBlob, ChunkRun } from "./chunk-source.ts";
import type { ChunkRequest } from "./request-plan.ts";

/** Decoded bytes of one task, unless a single chunk is larger: a request of zeros can stand for gigabytes. */
const TASK_SIZE = 4 * 2 ** 20;

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
  { table, compressor, digester }: ChunkedBlob,
  run: ChunkRun,
  request: ChunkRequest,
  stored: Uint8Array,
): DecodeTask {
  const from = run.first;
  const to = run.first + run.count;
  const start = table.storedOffsets[from] as number;
  const end = (table.storedOffsets[to - 1] as number) + (table.storedSizes[to - 1] as number);
  const buffer = new Uint8Array(stored.subarray(start - request.offset, end - request.offset));
  return {
    kind: "decode",
    compressor,
    digester,
    buffer,
    offsets: Uint32Array.from(table.storedOffsets.subarray(from, to), (offset) => offset - start),
    storedSizes: Uint32Array.from(table.storedSizes.subarray(from, to)),
    decodedSizes: Uint32Array.from(table.decodedSizes.subarray(from, to)),
    isCompressed: Uint8Array.from({ length: run.count }, (_, at) => Number(table.isCompressed(from + at))),
  };
}
