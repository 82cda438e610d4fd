import type { FindingCode } from "#src/image/finding.js";
import type { PatchedBootstrap } from "./patched-bootstrap.ts";

/** The golden image that most mutations change. */
export const MUTATED_IMAGE = "made/v6-prefetch";

/** One change to a golden bootstrap, and what it must be found as. */
export interface Mutation {
  readonly what: string;
  readonly code: FindingCode;
  /** @default MUTATED_IMAGE */
  readonly image?: string;
  readonly change: (image: PatchedBootstrap) => void;
}
