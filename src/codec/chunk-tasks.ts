import type { Compressor, Digester } from "../base/algorithm.ts";
import type { TaskFailure } from "./task-failure.ts";

/** Chunks to compress. */
export interface EncodeTask {
  readonly kind: "encode";
  readonly compressor: Compressor;
  /** Zstandard level. */
  readonly level: number;
  /** A whole buffer with the chunks one after the other from its start; it moves to the worker. */
  readonly buffer: Uint8Array<ArrayBuffer>;
  /** Bytes of each chunk. */
  readonly sizes: Uint32Array<ArrayBuffer>;
}

/** What became of the chunks of an {@link EncodeTask}. */
export interface EncodedChunks {
  /** The buffer of the task, now with the stored forms one after the other from its start. */
  readonly buffer: Uint8Array<ArrayBuffer>;
  /** Bytes of each stored form; a chunk is stored raw exactly when its size did not change. */
  readonly storedSizes: Uint32Array<ArrayBuffer>;
}

/** Chunks of a file to read, decode and digest. */
export interface ReadTask {
  readonly kind: "read";
  /** An open file that stays open until the task is done. */
  readonly fd: number;
  readonly compressor: Compressor;
  readonly digester: Digester;
  readonly storedOffsets: Float64Array<ArrayBuffer>;
  readonly storedSizes: Uint32Array<ArrayBuffer>;
  readonly decodedSizes: Uint32Array<ArrayBuffer>;
  /** 0 for a chunk that is stored raw. */
  readonly isCompressed: Uint8Array<ArrayBuffer>;
}

/** What the chunks of a {@link ReadTask} are. */
export interface DecodedChunks {
  /** 32 bytes for each chunk. */
  readonly digests: Uint8Array<ArrayBuffer>;
  /** Position in the task of the first chunk that is not there or does not decode, and why. */
  readonly failed: { readonly position: number; readonly failure: TaskFailure } | undefined;
}

/** Stored chunks to decode and digest. */
export interface DecodeTask {
  readonly kind: "decode";
  readonly compressor: Compressor;
  readonly digester: Digester;
  /** A whole buffer that holds the stored chunks; it moves to the worker. */
  readonly buffer: Uint8Array<ArrayBuffer>;
  /** Start of each chunk in the buffer. */
  readonly offsets: Uint32Array<ArrayBuffer>;
  readonly storedSizes: Uint32Array<ArrayBuffer>;
  readonly decodedSizes: Uint32Array<ArrayBuffer>;
  /** 0 for a chunk that is stored raw. */
  readonly isCompressed: Uint8Array<ArrayBuffer>;
}

/** What the chunks of a {@link DecodeTask} are. */
export interface DecodedRun {
  /** The decoded chunks one after the other. */
  readonly buffer: Uint8Array<ArrayBuffer>;
  /** 32 bytes for each chunk. */
  readonly digests: Uint8Array<ArrayBuffer>;
  /** Position in the task of the first chunk that does not decode, and why; the ones behind it are not decoded. */
  readonly failed: { readonly position: number; readonly failure: TaskFailure } | undefined;
}

/** Stored chunks to decode, to prove, and to write to a file. */
export interface FillTask {
  readonly kind: "fill";
  readonly compressor: Compressor;
  readonly digester: Digester;
  /** The stored chunks, which stay where they are: nobody changes them before the task is done. */
  readonly stored: Uint8Array;
  /** Start of each chunk in `stored`. */
  readonly offsets: Uint32Array<ArrayBuffer>;
  readonly storedSizes: Uint32Array<ArrayBuffer>;
  readonly decodedSizes: Uint32Array<ArrayBuffer>;
  /** 0 for a chunk that is stored raw. */
  readonly isCompressed: Uint8Array<ArrayBuffer>;
  /** 32 bytes for each chunk, which its decoded bytes must have. */
  readonly digests: Uint8Array<ArrayBuffer>;
  /** A file that is open for writing until the task is done, and its name for messages. */
  readonly fd: number;
  readonly path: string;
  /** Where in the file each chunk belongs. */
  readonly fileOffsets: Float64Array<ArrayBuffer>;
}

/** What became of the chunks of a {@link FillTask}: those before the failed one are written. */
export interface FilledRun {
  readonly failed:
    | {
        readonly position: number;
        /** Why the chunk does not decode; absent when it does. */
        readonly failure: TaskFailure | undefined;
        /** The digest that its bytes have in the place of the right one. */
        readonly digest: Uint8Array | undefined;
      }
    | undefined;
}

/** What a worker does, and what it answers. */
export type ChunkTask = EncodeTask | ReadTask | DecodeTask | FillTask;
export type ChunkResult = EncodedChunks | DecodedChunks | DecodedRun | FilledRun;

/** Main thread to worker. */
export interface TaskMessage {
  readonly id: number;
  readonly task: ChunkTask;
}

/** Worker to main thread. */
export interface ResultMessage {
  readonly id: number;
  readonly result: ChunkResult | undefined;
  readonly failure: TaskFailure | undefined;
}
