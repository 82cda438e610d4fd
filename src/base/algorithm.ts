/** How the chunks of a blob are compressed. `gzip` is only ever read. */
export type Compressor = "none" | "lz4_block" | "gzip" | "zstd";

/** How the chunks of an image are named. */
export type Digester = "blake3" | "sha256";
