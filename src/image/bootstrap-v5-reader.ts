import type { Bootstrap, ReadBootstrapOptions } from "./bootstrap.ts";
import { bootstrapError } from "./bootstrap-error.ts";

/** Reads a v5 bootstrap. Placeholder until the v5 records are merged. */
export function readBootstrapV5(_bytes: Uint8Array, _options: ReadBootstrapOptions = {}): Bootstrap {
  throw bootstrapError("ERR_FEATURE_UNSUPPORTED", "RAFS v5");
}
