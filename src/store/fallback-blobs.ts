import { CodedError, type ErrorCode, isCoded } from "../base/errors.ts";
import type { BlobSource, RangeOptions, ReadOptions } from "./blob-source.ts";

/** What lets the next place be asked, the most serious first: lost data must not read as a network that is away. */
const FALLING_THROUGH: readonly ErrorCode[] = [
  "ERR_BLOB_CORRUPT",
  "ERR_SOURCE_UNAVAILABLE",
  "ERR_BLOB_NOT_FOUND",
];

/**
 * Several places that may have the same blobs, asked one after the other. Bytes that come whole but wrong are found
 * above, where digests are known: there the place that lies is not known any more.
 */
export function fallbackBlobs(places: readonly [BlobSource, ...BlobSource[]]): BlobSource {
  const [first] = places;
  if (places.length === 1) return first;
  const ask = async <Result>(call: (place: BlobSource) => Promise<Result>): Promise<Result> => {
    const failures: CodedError[] = [];
    for (const place of places) {
      try {
        return await call(place);
      } catch (error) {
        if (!isCoded(error, ...FALLING_THROUGH)) throw error;
        failures.push(error);
      }
    }
    const code = FALLING_THROUGH.find((serious) => failures.some((failure) => failure.code === serious));
    const worst = failures.find((failure) => failure.code === code) as CodedError;
    throw new CodedError(worst.code, failures.map(({ message }) => message).join("; "), { cause: worst });
  };
  return {
    name: places.map(({ name }) => name).join(", then "),
    isHedgeable: places.some(({ isHedgeable }) => isHedgeable === true),
    read: (blobId: string, offset: number, length: number, options: RangeOptions) =>
      ask((place) => place.read(blobId, offset, length, options)),
    size: (blobId: string, options: ReadOptions) => ask((place) => place.size(blobId, options)),
  };
}
