import { viewOf } from "../base/bytes.ts";
import type { Bootstrap, ReadBootstrapOptions } from "./bootstrap.ts";
import { readBootstrapV5 } from "./bootstrap-v5-reader.ts";
import { readBootstrapV6 } from "./bootstrap-v6-reader.ts";

/** First u32 of a v5 bootstrap; a v6 one starts with zeroes. */
const V5_MAGIC = 0x5241_4653;

/**
 * Reads a whole bootstrap, v5 or v6, into a tree with its blobs.
 *
 * Time and memory are bounded by the size of `bytes`; the result keeps views of it.
 *
 * @throws {CodedError} ERR_BOOTSTRAP_CORRUPT; ERR_FEATURE_UNSUPPORTED, naming the feature.
 */
export function readBootstrap(bytes: Uint8Array, options: ReadBootstrapOptions = {}): Bootstrap {
  const isV5 = bytes.length >= 4 && viewOf(bytes).getUint32(0, true) === V5_MAGIC;
  return isV5 ? readBootstrapV5(bytes, options) : readBootstrapV6(bytes, options);
}
