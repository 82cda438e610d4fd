import { join } from "node:path";
import { throwIfAborted } from "../base/abort.ts";
import { textOf } from "../base/bytes.ts";
import { VERSION } from "../base/version.ts";
import { codecVersions } from "../codec/versions.ts";
import type { Platform } from "../format/oci/descriptor.ts";
import { formatPlatform } from "../format/oci/platform.ts";
import type { ImageSource, ImageTarget } from "../store/image-source.ts";
import { type AssembledImage, assembleImage } from "./assemble-image.ts";
import type { ConvertEvent } from "./convert-event.ts";
import { type CheckedConvertOptions, type ConvertOptions, checkConvertOptions } from "./convert-options.ts";
import { type ConvertReport, reportedOptions } from "./convert-report.ts";
import { besideOriginal, indexOf, mergedIndex, originalImage } from "./converted-index.ts";
import type { DirectoryReaderOptions } from "./directory-reader.ts";
import { type ImagePlan, planDirectory, planImage, platformName } from "./image-plan.ts";
import { LayerPool, type PooledLayer } from "./layer-pool.ts";
import { type PublishedImage, publishImages } from "./publish.ts";
import { type PlatformChoice, selectManifests } from "./select-manifests.ts";
import { createWorkDirectory } from "./work-directory.ts";

/** An image in some place, and which of its platforms to convert. */
export interface ImageToConvert {
  readonly kind: "image";
  readonly source: ImageSource;
  readonly platforms: PlatformChoice;
  /** `HOST/REPOSITORY:TAG` for the annotations; absent when the source is not in a registry. */
  readonly reference: string | undefined;
  /** Whether the target gets an index of the originals, as they are, and the Nydus images. @default false */
  readonly mergesPlatforms?: boolean;
}

/** A directory that becomes an image of one layer. */
export interface DirectoryToConvert {
  readonly kind: "directory";
  readonly path: string;
  readonly platform: Platform;
  /** As {@link DirectoryReaderOptions.readXattrs}. */
  readonly readXattrs?: NonNullable<DirectoryReaderOptions["readXattrs"]>;
}

/** How a conversion runs. */
export interface ConvertRun {
  readonly signal: AbortSignal;
  readonly onEvent: (event: ConvertEvent) => void;
  /** An existing folder; the conversion makes one of its own in it and removes it in the end. */
  readonly workParent: string;
}

/**
 * Converts an image to RAFS v6 and publishes it.
 *
 * The same source and options give the same digest. Layers stream: memory does not grow with their size,
 * the work folder holds the blobs until they are published. Before anything is published the written
 * blobs and bootstraps are read again and compared with what was read from the source, unless
 * `options.verify` is false. On failure the target's name stands for what it stood for before.
 *
 * @throws {CodedError} ERR_OPTION_INVALID, ERR_IMAGE_NOT_FOUND, ERR_IMAGE_INVALID, ERR_LAYER_INVALID,
 *   ERR_DIGEST_MISMATCH, ERR_IMAGE_DIFFERS, ERR_TARGET_IO, ERR_ABORTED, and what source and target throw.
 */
export async function convertImage(
  input: ImageToConvert | DirectoryToConvert,
  target: ImageTarget,
  options: ConvertOptions,
  run: ConvertRun,
): Promise<ConvertReport> {
  const convert = checkConvertOptions(options);
  const { signal, onEvent } = run;
  throwIfAborted(signal);
  const start = performance.now();
  const { plans, originals, indexType, skipped } = await planAll(input, signal);
  for (const platform of skipped) onEvent({ type: "platform-skipped", platform: formatPlatform(platform) });

  await using work = await createWorkDirectory(run.workParent);
  await using pool = new LayerPool({ convert, directory: work.path, signal, onEvent });
  const converting = performance.now();
  const images: AssembledImage[] = [];
  let mergeMs = 0;
  for (const plan of plans) {
    const path = join(work.path, `bootstrap-${images.length}.tar.gz`);
    const layers = await convertLayers(plan, pool, onEvent);
    const merging = performance.now();
    images.push(await mergeImage(plan, layers, path, input, { ...run, convert }));
    mergeMs += performance.now() - merging;
  }
  if (input.kind === "directory" && input.readXattrs === undefined) {
    const what = "extended attributes, which cannot be read here";
    onEvent({ type: "left-out", layer: 0, path: ".", what });
  }
  throwIfAborted(signal);
  const pushing = performance.now();
  const converted = images.map((image) => image.published);
  const isMerged = originals.length > 0;
  const plain = indexType === undefined ? undefined : indexOf(plans, converted, indexType);
  const index = isMerged ? mergedIndex(plans, originals, converted) : plain;
  const top = index ?? converted[0]?.manifest;
  if (top === undefined) throw new TypeError("a conversion without images");
  const publications = [...originals, ...converted];
  const published = await publishImages(target, publications, index, { jobs: convert.jobs, signal, onEvent });
  const end = performance.now();
  const { maxRSS, userCPUTime, systemCPUTime } = process.resourceUsage();
  return {
    version: VERSION,
    codecs: codecVersions(),
    source: input.kind === "image" ? input.source.name : `dir:${input.path}`,
    target: target.name,
    digest: top.descriptor.digest,
    options: reportedOptions(convert),
    images: images.map(({ report }) => report),
    skippedPlatforms: skipped.map(formatPlatform),
    isVerified: convert.verify,
    elapsed: {
      total: nanoseconds(end - start),
      pull: nanoseconds(pool.sourceMs),
      convert: nanoseconds(pushing - converting - mergeMs),
      verify: nanoseconds(pool.verifyMs),
      merge: nanoseconds(mergeMs),
      push: nanoseconds(end - pushing),
    },
    published,
    peakMemory: maxRSS * 1024,
    cpuElapsed: (userCPUTime + systemCPUTime) * 1000,
    SourceImageSize: sum(plans.map(({ sourceSize }) => sourceSize)),
    TargetImageSize: sum(images.map(({ size }) => size)) + (index?.bytes.length ?? 0),
    SourcePullElapsed: nanoseconds(pool.sourceMs),
    ConversionElapsed: nanoseconds(pushing - converting),
    TargetPushElapsed: nanoseconds(end - pushing),
  };
}

async function convertLayers(
  plan: ImagePlan,
  pool: LayerPool,
  onEvent: ConvertRun["onEvent"],
): Promise<PooledLayer[]> {
  const size = sum(plan.layers.map((layer) => layer.size));
  onEvent({ type: "image-started", platform: platformName(plan), layers: plan.layers.length, size });
  return await pool.convertAll(plan.layers);
}

async function mergeImage(
  plan: ImagePlan,
  layers: readonly PooledLayer[],
  bootstrapPath: string,
  input: ImageToConvert | DirectoryToConvert,
  { convert, signal, onEvent }: ConvertRun & { readonly convert: CheckedConvertOptions },
): Promise<AssembledImage> {
  onEvent({ type: "merge-started", platform: platformName(plan) });
  const image = await assembleImage(plan, layers, {
    convert,
    bootstrapPath,
    sourceReference: input.kind === "image" ? input.reference : undefined,
    signal,
    onUnmatchedPrefetch: (path) => onEvent({ type: "prefetch-unmatched", path: textOf(path) }),
  });
  if (convert.verify) onEvent({ type: "verified", blobs: layers.length, paths: image.report.paths });
  return image;
}

interface PlannedConversion {
  readonly plans: readonly ImagePlan[];
  /** By the plans when originals and Nydus images get one name, else none. */
  readonly originals: readonly PublishedImage[];
  /** Media type of the index to write; absent when the one manifest gets the name. */
  readonly indexType: string | undefined;
  readonly skipped: readonly Platform[];
}

async function planAll(
  input: ImageToConvert | DirectoryToConvert,
  signal: AbortSignal,
): Promise<PlannedConversion> {
  if (input.kind === "directory") {
    const plan = planDirectory(input.path, input.platform, input.readXattrs);
    return { plans: [plan], originals: [], indexType: undefined, skipped: [] };
  }
  const { source, platforms, mergesPlatforms = false } = input;
  const { manifests, indexType, skipped } = await selectManifests(source, platforms, { signal });
  const plans: ImagePlan[] = [];
  for (const manifest of manifests) {
    const plan = await planImage(source, manifest, platforms, signal);
    plans.push(mergesPlatforms ? besideOriginal(plan) : plan);
  }
  const originals = mergesPlatforms
    ? manifests.map((manifest) => originalImage(source, manifest, signal))
    : [];
  const isSeveral = platforms.wanted === "all" || platforms.wanted.length > 1;
  return { plans, originals, indexType: isSeveral ? indexType : undefined, skipped };
}

function nanoseconds(milliseconds: number): number {
  return Math.round(milliseconds * 1e6);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
