import type { Bootstrap, ReadBootstrapOptions } from "./bootstrap.ts";
import { readBootstrapV5 } from "./bootstrap-v5-reader.ts";
import { isBootstrapV5 } from "./bootstrap-v5-tables.ts";
import { readBootstrapV6 } from "./bootstrap-v6-reader.ts";

/**
 * Reads a whole bootstrap, v5 or v6, into a tree with its blobs.
 *
 * Time and memory are bounded by the size of `bytes`; the result keeps views of it.
 *
 * @throws {CodedError} ERR_BOOTSTRAP_CORRUPT; ERR_FEATURE_UNSUPPORTED, naming the feature.
 */
export function readBootstrap(bytes: Uint8Array, options: ReadBootstrapOptions = {}): Bootstrap {
  return isBootstrapV5(bytes) ? readBootstrapV5(bytes, options) : readBootstrapV6(bytes, options);
}
