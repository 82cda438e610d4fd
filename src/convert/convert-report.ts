import { textOf } from "../base/bytes.ts";
import type { Digest } from "../base/digest.ts";
import type { CodecVersions } from "../codec/versions.ts";
import type { CheckedConvertOptions } from "./convert-options.ts";
import type { PublishedBlobs } from "./publish.ts";

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

/** Nanoseconds of the parts of a conversion. `pull` and `verify` are sums over layers that ran at once. */
export interface PhaseTimes {
  readonly total: number;
  /** Waiting for the source; a part of `convert`. */
  readonly pull: number;
  /** From the first layer's first byte to the last blob's last one, read again. */
  readonly convert: number;
  /** Reading the blobs again and comparing them; a part of `convert`. */
  readonly verify: number;
  /** Laying the layers over each other, writing the bootstrap and comparing it. */
  readonly merge: number;
  readonly push: number;
}

/**
 * What a conversion did; docs/report.md explains every field. The fields with capitals are named and measured as in
 * the metrics that nydusify writes: sizes in bytes, times in nanoseconds.
 */
export interface ConvertReport {
  /** Of this package. */
  readonly version: string;
  /** What the digests depend on beside source and options. */
  readonly codecs: CodecVersions;
  readonly source: string;
  readonly target: string;
  /** What the target's name stands for now: the manifest, or the index of several. */
  readonly digest: Digest;
  readonly options: ReportedOptions;
  readonly images: readonly ImageReport[];
  readonly skippedPlatforms: readonly string[];
  readonly isVerified: boolean;
  readonly elapsed: PhaseTimes;
  /** Layers that were written, and that the target had already. */
  readonly published: PublishedBlobs;
  /** Bytes that this process, threads included, had in memory at most. */
  readonly peakMemory: number;
  /** Nanoseconds of processor time, all threads together. */
  readonly cpuElapsed: number;
  readonly SourceImageSize: number;
  readonly TargetImageSize: number;
  readonly SourcePullElapsed: number;
  readonly ConversionElapsed: number;
  readonly TargetPushElapsed: number;
}

/** The options of a conversion, defaults filled in. */
export interface ReportedOptions {
  readonly compressor: string;
  /** Of zstd only. */
  readonly compressionLevel?: number;
  readonly digester: string;
  readonly chunkSize: number;
  readonly prefetch: readonly string[];
  readonly jobs: number;
}

/** The options as a report shows them. */
export function reportedOptions(options: CheckedConvertOptions): ReportedOptions {
  const { compressor, compressionLevel, digester, chunkSize, prefetch, jobs } = options;
  return {
    compressor,
    ...(compressor === "zstd" && { compressionLevel }),
    digester,
    chunkSize,
    prefetch: prefetch.map(textOf),
    jobs,
  };
}
