import { CodedError, ERRORS, type ErrorCode } from "../base/errors.ts";
import type { Finding, FindingCode, Severity } from "../image/finding.ts";

/** Something that a check of an image found. */
export interface CheckFinding {
  /** A finding code of the bootstrap's check, or the error that reading the image would give. */
  readonly code: FindingCode | ErrorCode;
  readonly severity: Severity;
  /** `manifest`, `bootstrap: /etc/passwd`, `blob HEX` and the like. */
  readonly where: string;
  readonly message: string;
}

/** Findings of one kind and place that are told one by one. */
export const MAX_FINDINGS_PER_PLACE = 20;

/** Collects what a check finds. */
export class CheckFindings {
  readonly #findings: CheckFinding[] = [];
  readonly #onFinding: (finding: CheckFinding) => void;

  /** @param onFinding Called with every finding as it is made. */
  constructor(onFinding: (finding: CheckFinding) => void) {
    this.#onFinding = onFinding;
  }

  /** An error. */
  add(code: ErrorCode, where: string, message: string): void {
    this.#push({ code, severity: "error", where, message });
  }

  /** What does not make the image wrong. */
  warn(code: FindingCode | ErrorCode, where: string, message: string): void {
    this.#push({ code, severity: "warning", where, message });
  }

  /** Findings of the checks of metadata. */
  addAll(findings: readonly Finding[]): void {
    for (const finding of findings) this.#push(finding);
  }

  /**
   * Makes a finding of a failure to read something; what no image is to blame for is thrown on.
   */
  addError(error: unknown, where: string): void {
    if (!(error instanceof CodedError) || !isFault(error.code)) throw error;
    this.add(error.code, where, error.message);
  }

  get errors(): number {
    return this.#findings.filter(({ severity }) => severity === "error").length;
  }

  get warnings(): number {
    return this.#findings.length - this.errors;
  }

  /** 0 without errors; 5 when all that is wrong is that something is not there, else 4. */
  get exit(): 0 | 4 | 5 {
    const errors = this.#findings.filter(({ severity }) => severity === "error");
    if (errors.length === 0) return 0;
    return errors.every(({ code }) => code in ERRORS && ERRORS[code as ErrorCode].exit === 5) ? 5 : 4;
  }

  #push(finding: CheckFinding): void {
    this.#findings.push(finding);
    this.#onFinding(finding);
  }
}

/** Codes that say something of the image, not of the network, the user or this program. */
function isFault(code: ErrorCode): boolean {
  const notThere: readonly ErrorCode[] = ["ERR_BLOB_NOT_FOUND", "ERR_CHUNK_NOT_FOUND"];
  return ERRORS[code].exit === 4 || notThere.includes(code);
}
