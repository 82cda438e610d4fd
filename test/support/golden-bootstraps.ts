/** Bootstraps of fixtures/golden, as golden-blobs.ts names them, that are v6 and that this release reads. */
export const GOLDEN_V6 = [
  "nydusify/native",
  "nydusify/lz4-64k",
  "nydusify/merged-platform",
  "nydusify/referrer",
  "made/dict",
  "made/layer1",
  "made/layer2",
  "made/layer3",
  "made/merged",
  "made/tar-rafs",
  "made/v6-chunk-0x1000",
  "made/v6-chunk-0x100000",
  "made/v6-chunk-0x1000000",
  "made/v6-inline",
  "made/v6-inline-toc",
  "made/v6-lz4_block-blake3",
  "made/v6-lz4_block-sha256",
  "made/v6-none-blake3",
  "made/v6-prefetch",
  "made/v6-repeatable",
  "made/v6-toc",
  "made/v6-zstd-blake3",
  "made/v6-zstd-sha256",
  "made/with-dict",
] as const;

/** Those it recognises and refuses: the word its message must hold, and how many names the tree has. */
export const UNSUPPORTED_V6 = {
  "made/tarfs": { feature: "tarfs", names: 580 },
  "made/targz-ref": { feature: "zran", names: 580 },
  "made/v6-batch": { feature: "batch", names: 583 },
  "made/v6-encrypt": { feature: "encryption", names: 583 },
} as const;
