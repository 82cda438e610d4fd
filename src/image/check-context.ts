import type { Superblock } from "../format/erofs/superblock.ts";
import type { BlobRecord } from "../format/rafs/blob-record.ts";
import type { ExtendedSuperblock } from "../format/rafs/extended-superblock.ts";
import type { FindingList } from "./finding.ts";

/** A v6 bootstrap under check whose super-blocks and tables are sound enough to follow. */
export interface CheckContext {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly superblock: Superblock;
  readonly extended: ExtendedSuperblock;
  readonly blobs: readonly BlobRecord[];
  readonly blockSize: number;
  /** First byte of the metadata area. */
  readonly metaOffset: number;
  readonly findings: FindingList;
}
