import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openLayoutSource } from "#src/layout/layout-source.js";
import { LayoutTarget } from "#src/layout/layout-target.js";
import { describeImagePlace } from "../conformance/image-place.ts";

describeImagePlace("an OCI layout", async () => {
  const directory = await mkdtemp(join(tmpdir(), "layout-"));
  return {
    source: ({ tag }) => openLayoutSource(directory, tag),
    target: (tag) => new LayoutTarget(directory, { tag }),
    readsByDigest: false,
    sharesBlobs: true,
    leftovers: async () => {
      const files = await readdir(directory, { recursive: true });
      return files.filter((path) => path.includes(".nydus-tmp-"));
    },
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true }),
  };
});
