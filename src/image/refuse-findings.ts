import { CodedError } from "../base/errors.ts";
import type { FindingCode, FindingList } from "./finding.ts";

/** What this release does not know, rather than what is wrong: another version may read such an image. */
const UNKNOWN: readonly FindingCode[] = [
  "rafs-mark-missing",
  "incompat-features-invalid",
  "super-flags-unknown",
  "blob-features-unknown",
  "blob-compressor-unknown",
  "blob-digester-unknown",
  "feature-unsupported",
];

/** Errors to nydusd or the kernel that no reader of ours stumbles over. */
const TOLERATED: readonly FindingCode[] = [
  "blocks-without-devices",
  "blob-marked-inlined",
  "blob-toc-size-invalid",
  "device-blocks-mismatch",
];

/**
 * Refuses a bootstrap for the first finding that a reader cannot live with, so that readers and `check` go by the
 * same rules.
 *
 * @throws {CodedError} ERR_FEATURE_UNSUPPORTED, naming the feature; ERR_BOOTSTRAP_CORRUPT.
 */
export function refuseFindings(
  findings: FindingList,
  options: { readonly allowUnsupported?: boolean },
): void {
  const accepted =
    options.allowUnsupported === true ? [...TOLERATED, "feature-unsupported" as const] : TOLERATED;
  const first = findings
    .toArray()
    .find(({ code, severity }) => severity === "error" && !accepted.includes(code));
  if (first === undefined) return;
  throw new CodedError(
    UNKNOWN.includes(first.code) ? "ERR_FEATURE_UNSUPPORTED" : "ERR_BOOTSTRAP_CORRUPT",
    `bootstrap: ${first.where}: ${first.message}`,
  );
}
