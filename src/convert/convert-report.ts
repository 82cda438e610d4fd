import type { Digest } from "../base/digest.ts";

/** One layer of a report. Sizes are bytes. */
export interface LayerReport {
  /** Absent for a directory. */
  readonly sourceDigest: Digest | undefined;
  readonly sourceSize: number;
  readonly digest: Digest;
  readonly size: number;
  readonly chunks: number;
  /** Decoded bytes of the chunks, each rounded up to 4096. */
  readonly decodedSize: number;
  /** Chunks that the layer holds more than once, stored once, and their decoded bytes. */
  readonly duplicateChunks: number;
  readonly duplicateSize: number;
  /** Chunks that the blob of a lower layer holds too: the image names them there. And their decoded bytes. */
  readonly sharedChunks: number;
  readonly sharedSize: number;
}

/** One image of a report. */
export interface ImageReport {
  /** `os/arch[/variant]`. */
  readonly platform: string;
  readonly sourceDigest: Digest | undefined;
  readonly digest: Digest;
  readonly configDigest: Digest;
  readonly bootstrap: { readonly digest: Digest; readonly size: number; readonly decodedSize: number };
  readonly paths: number;
  readonly layers: readonly LayerReport[];
}

/**
 * What a conversion did. The fields with capitals are named and measured as in the metrics that nydusify
 * writes: sizes in bytes, times in nanoseconds.
 */
export interface ConvertReport {
  readonly source: string;
  readonly target: string;
  /** What the target's name stands for now: the manifest, or the index of several. */
  readonly digest: Digest;
  readonly images: readonly ImageReport[];
  readonly skippedPlatforms: readonly string[];
  readonly isVerified: boolean;
  readonly verifyElapsed: number;
  readonly SourceImageSize: number;
  readonly TargetImageSize: number;
  /** Time spent waiting for the source, summed over layers that were read at once. */
  readonly SourcePullElapsed: number;
  readonly ConversionElapsed: number;
  readonly TargetPushElapsed: number;
}
