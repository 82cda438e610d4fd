import { viewOf } from "../base/bytes.ts";
import { type CodedError, isCoded } from "../base/errors.ts";
import { decodeV5Inode } from "../format/rafs/v5-inode.ts";
import {
  decodeV5Superblock,
  V5_SUPERBLOCK_SIZE,
  V5_VERSION,
  type V5Superblock,
} from "../format/rafs/v5-superblock.ts";
import type { ReadBootstrapOptions } from "./bootstrap.ts";
import { BOOTSTRAP_LIMITS } from "./bootstrap-limits.ts";
import { readBootstrapV5 } from "./bootstrap-v5-reader.ts";
import { readV5Tables, v5TableRanges } from "./bootstrap-v5-tables.ts";
import { checkChunkSize, checkFlags, checkTables } from "./check-header.ts";
import { chunkTableOfV5 } from "./chunk-table-v5.ts";
import type { FindingCode, FindingList } from "./finding.ts";

const WHERE = "superblock";

/**
 * Checks a v5 bootstrap: super-block and tables one by one, then what the reader refuses (the first such
 * thing only), parents, and the chunk tables of the blobs.
 */
export function checkBootstrapV5(
  bytes: Uint8Array,
  options: ReadBootstrapOptions,
  findings: FindingList,
): void {
  if (bytes.length < V5_SUPERBLOCK_SIZE || bytes.length > BOOTSTRAP_LIMITS.size || bytes.length % 8 !== 0) {
    findings.add("image-size-invalid", "image", `${bytes.length} bytes`);
    return;
  }
  try {
    checkSuperblock(decodeV5Superblock(viewOf(bytes)), bytes.length, findings);
    if (findings.count > 0) return;
    const bootstrap = readBootstrapV5(bytes, options.digest === undefined ? {} : { digest: options.digest });
    for (const blobIndex of bootstrap.blobs.keys()) chunkTableOfV5(bootstrap, blobIndex);
    checkParents(bytes, findings);
  } catch (error) {
    if (error instanceof RangeError) findings.add("number-too-large", WHERE, error.message);
    else if (isCoded(error)) findings.add(codeOf(error), "bootstrap", error.message);
    else throw error;
  }
}

function checkSuperblock(superblock: V5Superblock, size: number, findings: FindingList): void {
  if (superblock.version !== V5_VERSION || superblock.size !== V5_SUPERBLOCK_SIZE) {
    const what = `version 0x${superblock.version.toString(16)}, super-block of ${superblock.size} bytes`;
    findings.add("v5-superblock-invalid", WHERE, what);
  }
  const { flags, chunkSize } = superblock;
  checkFlags(flags, findings);
  checkChunkSize(chunkSize, findings);
  if (superblock.inodeCount === 0) findings.add("inode-count-zero", WHERE, "0 inodes");
  const tables = v5TableRanges(superblock).map((table) => ({ ...table, alignment: 8 }));
  checkTables(tables, V5_SUPERBLOCK_SIZE, size, findings);
}

/** Every child names its directory as parent. The tree was read before, so all records are in place. */
function checkParents(bytes: Uint8Array, findings: FindingList): void {
  const { inodeOffsets } = readV5Tables(bytes);
  const view = viewOf(bytes);
  const rows = [0];
  for (const row of rows) {
    const directory = decodeV5Inode(view, inodeOffsets[row] ?? 0);
    const first = directory.childIndex - 1;
    for (let child = first; child < first + directory.childCount; child++) {
      const record = decodeV5Inode(view, inodeOffsets[child] ?? 0);
      if (record.parent !== directory.ino) {
        const what = `inode ${child + 1} has parent ${record.parent}, is in directory ${directory.ino}`;
        findings.add("v5-parent-mismatch", "bootstrap", what);
      }
      if ((record.mode & 0o170000) === 0o040000) rows.push(child);
      if (findings.isFull) return;
    }
  }
}

function codeOf(error: CodedError): FindingCode {
  switch (error.code) {
    case "ERR_DIGEST_MISMATCH":
      return "v5-digest-mismatch";
    case "ERR_FEATURE_UNSUPPORTED":
      return "feature-unsupported";
    case "ERR_LIMIT_EXCEEDED":
      return "limit-exceeded";
    default:
      return "v5-corrupt";
  }
}
