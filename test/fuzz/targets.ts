import { DOCUMENT_TARGETS } from "./document-targets.ts";
import { FUSE_TARGETS } from "./fuse-target.ts";
import type { FuzzTarget } from "./fuzz-target.ts";
import { IMAGE_TARGETS } from "./image-targets.ts";
import { TAR_TARGETS } from "./tar-targets.ts";

/** Every decoder of bytes that strangers write. */
export const TARGETS: readonly FuzzTarget[] = [
  ...TAR_TARGETS,
  ...IMAGE_TARGETS,
  ...DOCUMENT_TARGETS,
  ...FUSE_TARGETS,
];
