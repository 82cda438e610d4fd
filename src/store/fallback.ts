import { type CodedError, type ErrorCode, isCoded } from "../base/errors.ts";
import { runsWhere } from "./chunk-run.ts";
import type { ChunkSource } from "./chunk-source.ts";

/** Codes after which the next source is asked, the most serious last: data loss never reads as a network blip. */
const FALL_THROUGH: readonly ErrorCode[] = [
  "ERR_CHUNK_NOT_FOUND",
  "ERR_DEADLINE_EXCEEDED",
  "ERR_SOURCE_UNAVAILABLE",
  "ERR_CHUNK_CORRUPT",
];

/**
 * Asks each source in turn for what the ones before did not give. Missing, unavailable and corrupt
 * chunks fall through; any other failure stops. When nobody has them, the most serious failure is thrown.
 */
export function fallback(sources: readonly ChunkSource[]): ChunkSource {
  if (sources.length === 0) throw new TypeError("fallback() needs a source");
  return {
    name: sources.map(({ name }) => name).join(", "),
    async fetch(blob, run, options, sink) {
      const given = new Set<number>();
      let worst: CodedError | undefined;
      for (const source of sources) {
        let isFailed = false;
        for (const part of runsWhere(run, (index) => !given.has(index))) {
          try {
            await source.fetch(blob, part, options, async (index, decoded) => {
              given.add(index);
              await sink(index, decoded);
            });
          } catch (error) {
            if (!isCoded(error, ...FALL_THROUGH)) throw error;
            worst = moreSerious(worst, error);
            isFailed = true;
          }
        }
        if (!isFailed) return;
      }
      throw worst;
    },
  };
}

function moreSerious(left: CodedError | undefined, right: CodedError): CodedError {
  if (left === undefined) return right;
  return FALL_THROUGH.indexOf(left.code) >= FALL_THROUGH.indexOf(right.code) ? left : right;
}
