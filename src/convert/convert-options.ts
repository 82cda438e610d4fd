import { availableParallelism } from "node:os";
import type { Compressor, Digester } from "../base/algorithm.ts";
import type { ByteString } from "../base/bytes.ts";
import { CodedError } from "../base/errors.ts";
import { choiceOption, integerOption } from "../base/options.ts";
import { DEFAULT_ZSTD_LEVEL } from "../codec/compress.ts";
import { MAX_CHUNK_SIZE } from "../format/blob/chunk-table.ts";

/** Smallest chunk size RAFS v6 knows, in bytes. */
const MIN_CHUNK_SIZE = 0x1000;
const DEFAULT_CHUNK_SIZE = 0x10_0000;
const MAX_JOBS = 64;
/** A job takes some 40 MiB. */
const MAX_DEFAULT_JOBS = 8;
const MAX_PREFETCH_PATTERNS = 65_536;

/** How to convert. Every field has a default. */
export interface ConvertOptions {
  /** @default "zstd" */
  readonly compressor?: string;
  /** Zstandard level, 1 to 22. @default 3 */
  readonly compressionLevel?: number;
  /** @default "blake3" */
  readonly digester?: string;
  /** Bytes, a power of two from 4096 to 16 MiB. @default 1048576 */
  readonly chunkSize?: number;
  /** Absolute paths to fetch early; `/` alone means everything. @default [] */
  readonly prefetch?: readonly ByteString[];
  /**
   * Threads that digest, compress and check chunks; layers read, and blobs published, at once. What is written does
   * not depend on it. @default the processors this process may use, at most 8
   */
  readonly jobs?: number;
  /** Whether the written image is read back and compared with its source. @default true */
  readonly verify?: boolean;
}

/** Options with everything filled in and checked. */
export interface CheckedConvertOptions {
  readonly compressor: Exclude<Compressor, "gzip">;
  readonly compressionLevel: number;
  readonly digester: Digester;
  readonly chunkSize: number;
  readonly prefetch: readonly ByteString[];
  readonly jobs: number;
  readonly verify: boolean;
}

/**
 * Checks options and fills in the defaults.
 *
 * @throws {CodedError} ERR_OPTION_INVALID naming the option.
 */
export function checkConvertOptions(options: ConvertOptions): CheckedConvertOptions {
  const compressor = choiceOption("compressor", options.compressor ?? "zstd", ["zstd", "lz4_block", "none"]);
  if (compressor !== "zstd" && options.compressionLevel !== undefined) {
    throw new CodedError("ERR_OPTION_INVALID", `compression level is only for zstd, not for ${compressor}`);
  }
  return {
    compressor,
    compressionLevel: integerOption(
      "compression level",
      options.compressionLevel ?? DEFAULT_ZSTD_LEVEL,
      1,
      22,
    ),
    digester: choiceOption("digester", options.digester ?? "blake3", ["blake3", "sha256"]),
    chunkSize: chunkSizeOption(options.chunkSize ?? DEFAULT_CHUNK_SIZE),
    prefetch: prefetchOption(options.prefetch ?? []),
    jobs: integerOption(
      "jobs",
      options.jobs ?? Math.min(availableParallelism(), MAX_DEFAULT_JOBS),
      1,
      MAX_JOBS,
    ),
    verify: options.verify ?? true,
  };
}

function chunkSizeOption(size: number): number {
  integerOption("chunk size", size, MIN_CHUNK_SIZE, MAX_CHUNK_SIZE);
  if (!Number.isInteger(Math.log2(size))) {
    throw new CodedError("ERR_OPTION_INVALID", `chunk size must be a power of two, got ${size}`);
  }
  return size;
}

function prefetchOption(patterns: readonly ByteString[]): readonly ByteString[] {
  if (patterns.length > MAX_PREFETCH_PATTERNS) {
    throw new CodedError(
      "ERR_OPTION_INVALID",
      `prefetch has ${patterns.length} paths, at most ${MAX_PREFETCH_PATTERNS} are possible`,
    );
  }
  for (const pattern of patterns) {
    if (!pattern.startsWith("/") || pattern.includes("\0")) {
      throw new CodedError(
        "ERR_OPTION_INVALID",
        `prefetch must be an absolute path, got ${JSON.stringify(pattern)}`,
      );
    }
  }
  return patterns;
}
