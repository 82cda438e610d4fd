/** Folders of fixtures/golden/made with a v6 bootstrap this release reads. */
export const GOLDEN_V6 = [
  "dict",
  "layer1",
  "layer2",
  "layer3",
  "merged",
  "tar-rafs",
  "v6-chunk-0x1000",
  "v6-chunk-0x100000",
  "v6-chunk-0x1000000",
  "v6-inline",
  "v6-inline-toc",
  "v6-lz4_block-blake3",
  "v6-lz4_block-sha256",
  "v6-none-blake3",
  "v6-prefetch",
  "v6-repeatable",
  "v6-toc",
  "v6-zstd-blake3",
  "v6-zstd-sha256",
  "with-dict",
] as const;

/** Those it recognises and refuses: the word its message must hold, and how many names the tree has. */
export const UNSUPPORTED_V6 = {
  tarfs: { feature: "tarfs", names: 580 },
  "targz-ref": { feature: "zran", names: 580 },
  "v6-batch": { feature: "batch", names: 583 },
  "v6-encrypt": { feature: "encryption", names: 583 },
} as const;
