/** A worker thread that runs chunk tasks, one after the other, until it is terminated. */
import { readSync } from "node:fs";
import { parentPort } from "node:worker_threads";
import { CodedError, isCoded } from "../base/errors.ts";
import type {
  ChunkResult,
  ChunkTask,
  DecodedChunks,
  EncodedChunks,
  EncodeTask,
  ReadTask,
  ResultMessage,
  TaskMessage,
} from "./chunk-tasks.ts";
import { compressScratch } from "./compress.ts";
import { decodeChunks } from "./decode-chunks.ts";
import { decompressChunk } from "./decompress.ts";
import { DIGEST_LENGTH, digestChunk } from "./digest.ts";
import { ChunkFiller } from "./fill-chunks.ts";
import { failureOf } from "./task-failure.ts";

/** The stored form replaces the chunks in their buffer: it is never longer, so it never reaches an unread one. */
function encode({ compressor, level, buffer, sizes }: EncodeTask): EncodedChunks {
  const storedSizes = new Uint32Array(sizes.length);
  let from = 0;
  let to = 0;
  for (const [index, size] of sizes.entries()) {
    const chunk = buffer.subarray(from, from + size);
    const stored = compressScratch(compressor, chunk, level);
    if (stored !== undefined) buffer.set(stored, to);
    else if (to !== from) buffer.copyWithin(to, from, from + size);
    storedSizes[index] = stored?.length ?? size;
    from += size;
    to += stored?.length ?? size;
  }
  return { buffer, storedSizes };
}

/** Chunks that lie behind each other are read at once. */
function read(task: ReadTask): DecodedChunks {
  const { compressor, digester, storedOffsets, storedSizes, decodedSizes, isCompressed } = task;
  const digests = new Uint8Array(storedOffsets.length * DIGEST_LENGTH);
  const start = storedOffsets.reduce((least, offset) => Math.min(least, offset), Number.MAX_SAFE_INTEGER);
  const end = storedOffsets.reduce((most, offset, at) => Math.max(most, offset + (storedSizes[at] ?? 0)), 0);
  const span = readSpan(task.fd, start, end - start);
  const target = decodeTarget(decodedSizes);
  for (const [position, offset] of storedOffsets.entries()) {
    const size = storedSizes[position] ?? 0;
    const stored = span.subarray(offset - start, offset - start + size);
    try {
      if (stored.length < size) throw new CodedError("ERR_BLOB_CORRUPT", `file ends before ${offset + size}`);
      const codec = isCompressed[position] === 0 ? "none" : compressor;
      const decoded = decompressChunk(codec, stored, decodedSizes[position] ?? 0, target);
      digests.set(digestChunk(digester, decoded), position * DIGEST_LENGTH);
    } catch (error) {
      if (!isCoded(error)) throw error;
      return { digests, failed: { position, failure: failureOf(error) } };
    }
  }
  return { digests, failed: undefined };
}

/** Largest chunk of RAFS. */
const MAX_TARGET = 16 * 2 ** 20;
let targetBuffer = new Uint8Array(0);

/** Memory for each of the chunks, one at a time, as far as their claims are sane. */
function decodeTarget(sizes: Uint32Array): Uint8Array {
  const largest = sizes.reduce((most, size) => Math.max(most, size), 0);
  if (targetBuffer.length < largest && largest <= MAX_TARGET) targetBuffer = new Uint8Array(largest);
  return targetBuffer;
}

let spanBuffer = new Uint8Array(0);

/** Fewer bytes only where the file ends. Good until the next call. */
function readSpan(fd: number, offset: number, length: number): Uint8Array {
  if (spanBuffer.length < length) spanBuffer = new Uint8Array(length);
  let filled = 0;
  while (filled < length) {
    const count = readSync(fd, spanBuffer, filled, length - filled, offset + filled);
    if (count === 0) break;
    filled += count;
  }
  return spanBuffer.subarray(0, filled);
}

const filler = new ChunkFiller();

function run(task: ChunkTask): ChunkResult {
  if (task.kind === "fill") return filler.fill(task);
  if (task.kind === "encode") return encode(task);
  return task.kind === "read" ? read(task) : decodeChunks(task);
}

parentPort?.on("message", ({ id, task }: TaskMessage) => {
  let message: ResultMessage;
  try {
    message = { id, result: run(task), failure: undefined };
  } catch (error) {
    message = { id, result: undefined, failure: failureOf(error) };
  }
  const { result } = message;
  const moved = result !== undefined && "buffer" in result ? [result.buffer.buffer] : [];
  parentPort?.postMessage(message, moved);
});
