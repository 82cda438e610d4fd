import { writeSync } from "node:fs";
import { alignUp, equalBytes } from "../base/bytes.ts";
import { CodedError, isCoded } from "../base/errors.ts";
import type { FilledRun, FillTask } from "./chunk-tasks.ts";
import { decompressChunk } from "./decompress.ts";
import { DIGEST_LENGTH, digestChunk } from "./digest.ts";
import { failureOf } from "./task-failure.ts";

/** Bytes that are written at once, unless one chunk is larger. */
const SPAN_SIZE = 2 ** 20;
/** Largest chunk of RAFS. */
const MAX_CHUNK_SIZE = 16 * 2 ** 20;
/** Chunks start at multiples of this in the decoded space: less between two of them is padding. */
const ALIGNMENT = 4096;

/** Does {@link FillTask}s one after the other, in memory that it keeps: nothing is left to be collected. */
export class ChunkFiller {
  #stored = new Uint8Array(0);
  #span = new Uint8Array(SPAN_SIZE);

  /**
   * Decodes chunks and writes what is proven: neighbours with one call.
   *
   * @throws {CodedError} ERR_CACHE_IO; ERR_LIMIT_EXCEEDED for a chunk over 16 MiB.
   */
  fill(task: FillTask): FilledRun {
    const stored = this.#takeStored(task);
    let start = task.fileOffsets[0] ?? 0;
    let end = start;
    const flush = (): void => writeAll(task, this.#span.subarray(0, end - start), start);
    for (const [position, offset] of task.offsets.entries()) {
      const fileOffset = task.fileOffsets[position] ?? 0;
      const size = task.decodedSizes[position] ?? 0;
      const isNeighbour = fileOffset === end || (fileOffset > end && fileOffset === alignUp(end, ALIGNMENT));
      if (!isNeighbour || fileOffset + size - start > SPAN_SIZE) {
        flush();
        start = fileOffset;
        end = fileOffset;
      }
      this.#reserve(size);
      this.#span.fill(0, end - start, fileOffset - start);
      const target = this.#span.subarray(fileOffset - start, fileOffset - start + size);
      const found = decodeInto(
        task,
        position,
        stored.subarray(offset, offset + (task.storedSizes[position] ?? 0)),
        target,
      );
      if (found !== undefined) {
        flush();
        return { failed: { position, ...found } };
      }
      end = fileOffset + size;
    }
    flush();
    return { failed: undefined };
  }

  /** Codecs in C want memory that no other thread may write to meanwhile. */
  #takeStored({ stored }: FillTask): Uint8Array {
    if (this.#stored.length < stored.length) this.#stored = new Uint8Array(stored.length);
    this.#stored.set(stored);
    return this.#stored.subarray(0, stored.length);
  }

  /** A chunk that is larger than the span is alone in it. */
  #reserve(size: number): void {
    if (size > MAX_CHUNK_SIZE) {
      throw new CodedError("ERR_LIMIT_EXCEEDED", `a chunk of ${size} bytes is over ${MAX_CHUNK_SIZE}`);
    }
    if (this.#span.length < size) this.#span = new Uint8Array(size);
  }
}

/** Decodes one chunk to its place. @returns What is wrong with it. */
function decodeInto(
  task: FillTask,
  position: number,
  stored: Uint8Array,
  target: Uint8Array,
): Omit<NonNullable<FilledRun["failed"]>, "position"> | undefined {
  try {
    const codec = task.isCompressed[position] === 0 ? "none" : task.compressor;
    const bytes = decompressChunk(codec, stored, target.length, target);
    if (bytes.buffer !== target.buffer) target.set(bytes);
  } catch (error) {
    if (!isCoded(error)) throw error;
    return { failure: failureOf(error), digest: undefined };
  }
  const digest = digestChunk(task.digester, target);
  const expected = task.digests.subarray(position * DIGEST_LENGTH, (position + 1) * DIGEST_LENGTH);
  return equalBytes(digest, expected) ? undefined : { failure: undefined, digest };
}

function writeAll({ fd, path }: FillTask, bytes: Uint8Array, offset: number): void {
  try {
    for (let done = 0; done < bytes.length; ) {
      done += writeSync(fd, bytes, done, bytes.length - done, offset + done);
    }
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new CodedError("ERR_CACHE_IO", `cache file ${path}: ${reason}`, { cause });
  }
}
