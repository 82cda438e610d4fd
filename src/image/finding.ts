import { type ByteString, textOf } from "../base/bytes.ts";

/** An `error` makes nydusd, the kernel or our readers refuse or misread the image; a `warning` does not. */
export type Severity = "error" | "warning";

/** Every finding a check can report, with its severity. A code is never reused with another meaning. */
export const FINDINGS = {
  // The image as a whole.
  "image-size-invalid": "error",
  "number-too-large": "error",
  "feature-unsupported": "error",
  "limit-exceeded": "error",
  "too-many-findings": "error",
  // EROFS super-block.
  "magic-invalid": "error",
  "checksum-set": "error",
  "rafs-mark-missing": "error",
  "block-size-invalid": "error",
  "superblock-field-set": "error",
  "incompat-features-invalid": "error",
  "inode-count-zero": "error",
  "inode-count-too-small": "warning",
  "root-invalid": "error",
  "metadata-outside-image": "error",
  "device-table-misplaced": "error",
  "blocks-without-devices": "error",
  // RAFS super-block and its tables.
  "super-flags-unknown": "error",
  "compressor-flags-invalid": "error",
  "digester-flags-invalid": "error",
  "digest-flag-without-feature": "warning",
  "chunk-size-invalid": "error",
  "table-misaligned": "error",
  "table-size-invalid": "error",
  "table-outside-image": "error",
  "tables-overlap": "error",
  // Devices and blobs.
  "device-count-mismatch": "error",
  "device-tag-mismatch": "error",
  "device-tag-duplicate": "error",
  "device-blocks-zero": "error",
  "device-blocks-mismatch": "error",
  "device-mapping-overlap": "warning",
  "blob-id-invalid": "error",
  "blob-id-placeholder": "warning",
  "blob-marked-inlined": "error",
  "blob-index-mismatch": "error",
  "blob-chunk-size-mismatch": "error",
  "blob-chunk-count-invalid": "error",
  "blob-compressor-unknown": "error",
  "blob-digester-unknown": "error",
  "blob-features-unknown": "error",
  "blob-size-invalid": "error",
  "blob-alignment-invalid": "error",
  "blob-toc-size-invalid": "error",
  "chunk-information-form-invalid": "error",
  "chunk-information-size-invalid": "error",
  // Inodes.
  "inode-outside-image": "error",
  "inode-format-invalid": "error",
  "inode-type-invalid": "error",
  "inode-layout-invalid": "error",
  "inode-nlink-zero": "error",
  "inode-nlink-mismatch": "warning",
  "inode-mtime-invalid": "error",
  "inode-ino-invalid": "warning",
  "inodes-overlap": "error",
  "inline-crosses-block": "error",
  "content-outside-image": "error",
  "xattrs-invalid": "error",
  "symlink-target-invalid": "error",
  // Directories.
  "directory-size-invalid": "error",
  "dirent-name-offset-invalid": "error",
  "dirent-name-invalid": "error",
  "dirent-order-invalid": "error",
  "dirent-nid-invalid": "error",
  "dirent-type-mismatch": "error",
  "dot-missing": "error",
  "dot-wrong": "error",
  "directory-found-twice": "error",
  // Chunks.
  "chunk-format-invalid": "error",
  "chunk-extent-broken": "error",
  "chunk-hole": "error",
  "chunk-array-outside-image": "error",
  "chunk-blob-invalid": "error",
  "chunk-index-invalid": "error",
  "chunk-outside-blob": "error",
  "chunk-table-missing": "warning",
  "chunk-table-unsorted": "error",
  "chunk-record-blob-invalid": "error",
  "chunk-record-index-invalid": "error",
  "chunk-record-range-invalid": "error",
  "chunk-record-flags-invalid": "error",
  "chunk-record-duplicate": "error",
  "chunk-record-order-invalid": "error",
  "chunk-record-missing": "error",
  "chunk-record-digest-missing": "error",
  "chunk-record-unused": "warning",
  "chunk-record-start-mismatch": "error",
  "chunk-record-size-mismatch": "error",
  "prefetch-nid-invalid": "warning",
  // Blobs beside their row of the blob table.
  "header-context-invalid": "error",
  "decoded-size-mismatch": "error",
  // RAFS v5.
  "v5-superblock-invalid": "error",
  "v5-corrupt": "error",
  "v5-parent-mismatch": "error",
  "v5-digest-mismatch": "error",
} as const satisfies Record<string, Severity>;

/** One of the codes of {@link FINDINGS}. */
export type FindingCode = keyof typeof FINDINGS;

/** Something wrong with an image. */
export interface Finding {
  readonly code: FindingCode;
  readonly severity: Severity;
  /** A path, `superblock`, `blob 3` and the like. For people: bytes that are no UTF-8 are replaced. */
  readonly where: string;
  /** What was found and what was expected. */
  readonly message: string;
}

/** Findings kept of one check: a hostile image must not fill memory with them. */
export const MAX_FINDINGS = 1000;

/** Collects findings, at most {@link MAX_FINDINGS} and a last one that says there are more. */
export class FindingList {
  readonly #findings: Finding[] = [];

  /** True when no further finding is kept: the check may stop. */
  get isFull(): boolean {
    return this.#findings.length > MAX_FINDINGS;
  }

  get count(): number {
    return this.#findings.length;
  }

  add(code: FindingCode, where: string, message: string): void {
    if (this.isFull) return;
    if (this.#findings.length < MAX_FINDINGS) {
      this.#findings.push({ code, severity: FINDINGS[code], where, message });
      return;
    }
    const over = `over ${MAX_FINDINGS} findings, the others are left out`;
    const last = "too-many-findings";
    this.#findings.push({ code: last, severity: FINDINGS[last], where: "image", message: over });
  }

  toArray(): Finding[] {
    return [...this.#findings];
  }
}

/** A name's place in the tree, cheap to make for every name. */
export interface Place {
  readonly name: ByteString;
  /** Absent for the root. */
  readonly parent: Place | undefined;
}

/** Levels of a path that are shown: a deep tree makes long paths. */
const SHOWN_LEVELS = 32;

/** The absolute path of a place for people, its beginning cut off where it is very deep. */
export function pathOf(place: Place): string {
  const names: string[] = [];
  let next: Place | undefined = place;
  for (; next?.parent !== undefined && names.length < SHOWN_LEVELS; next = next.parent) {
    names.push(textOf(next.name.slice(0, 255)));
  }
  return `${next?.parent === undefined ? "" : "…"}/${names.reverse().join("/")}`;
}
