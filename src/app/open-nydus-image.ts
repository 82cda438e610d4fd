import { basename } from "node:path";
import { DirectorySource } from "../backend/directory-source.ts";
import { isBlobId } from "../base/digest.ts";
import { CodedError } from "../base/errors.ts";
import { digestChunk } from "../codec/digest.ts";
import type { Platform } from "../format/oci/descriptor.ts";
import { PLACEHOLDER_BLOB_ID } from "../format/rafs/blob-record.ts";
import { checkBlobId } from "../image/blob-conversion.ts";
import { BOOTSTRAP_LIMITS } from "../image/bootstrap-limits.ts";
import { BootstrapOutline } from "../image/bootstrap-outline.ts";
import { openStoredFile, readStored } from "../layout/stored-file.ts";
import type { ImageSource } from "../store/image-source.ts";
import { platformOrHost } from "./host-platform.ts";
import { NydusImage, type NydusImageParts } from "./nydus-image.ts";
import { readBootstrapLayer } from "./read-bootstrap-layer.ts";
import { selectNydusManifest } from "./select-nydus-manifest.ts";

/** A bare image in Nydus files. */
export interface BootstrapFile {
  /** The file of the bootstrap. */
  readonly bootstrap: string;
  /** Directories that hold the blobs, each in a file named by its id. */
  readonly blobDirs: readonly string[];
  /** Id of the blob that the bootstrap was inlined in. @default the bootstrap's file name up to its first dot */
  readonly blobId?: string;
}

export interface OpenNydusOptions {
  readonly signal: AbortSignal;
  /** Which image of an index is wanted. @default that of the host */
  readonly platform?: Platform;
  /** Accept images whose chunks cannot be read, for what is only about metadata. @default false */
  readonly allowUnsupported?: boolean;
}

/** A Nydus image whose bootstrap was fetched but not looked at. */
export interface LocatedImage extends Omit<NydusImageParts, "outline"> {
  /** Id of the blob that the bootstrap may have been inlined in. */
  readonly blobId: string | undefined;
}

/**
 * Opens a Nydus image: reads manifest and bootstrap, no blob yet.
 *
 * @param where An image source stays the caller's to dispose, and must live as long as the image.
 * @throws {CodedError} as {@link locateNydusImage} and {@link openLocatedImage}.
 */
export async function openNydusImage(
  where: ImageSource | BootstrapFile,
  options: OpenNydusOptions,
): Promise<NydusImage> {
  return openLocatedImage(await locateNydusImage(where, options), options);
}

/**
 * Finds a Nydus image and reads its bootstrap as bytes.
 *
 * @throws {CodedError} ERR_IMAGE_INVALID when it is no Nydus image, ERR_IMAGE_NOT_FOUND, ERR_OPTION_INVALID
 *   for a blob id that is none, ERR_LIMIT_EXCEEDED, and what the source throws.
 */
export async function locateNydusImage(
  where: ImageSource | BootstrapFile,
  options: Omit<OpenNydusOptions, "allowUnsupported">,
): Promise<LocatedImage> {
  return "bootstrap" in where ? locateFile(where) : locateInSource(where, options);
}

/**
 * Reads of the bootstrap of an image what it says of its blobs; the tree waits until it is asked for.
 *
 * @throws {CodedError} ERR_BOOTSTRAP_CORRUPT, ERR_DIGEST_MISMATCH, ERR_FEATURE_UNSUPPORTED naming the
 *   feature, ERR_LIMIT_EXCEEDED, ERR_OPTION_INVALID when the id of a blob must be given.
 */
export function openLocatedImage(
  located: LocatedImage,
  options: Pick<OpenNydusOptions, "allowUnsupported"> = {},
): NydusImage {
  const { blobId, ...parts } = located;
  const outline = new BootstrapOutline(parts.bootstrapBytes, {
    allowUnsupported: options.allowUnsupported ?? false,
    digest: digestChunk,
    ...(blobId !== undefined && { blobId }),
  });
  if (outline.blobs.some(({ id }) => id === PLACEHOLDER_BLOB_ID)) {
    throw new CodedError(
      "ERR_OPTION_INVALID",
      `bootstrap of ${parts.name} was inlined in a blob whose id is neither given nor its file's name`,
    );
  }
  return new NydusImage({ ...parts, outline });
}

async function locateInSource(
  source: ImageSource,
  options: Omit<OpenNydusOptions, "allowUnsupported">,
): Promise<LocatedImage> {
  const platform = options.platform ?? platformOrHost(undefined);
  const selected = await selectNydusManifest(source, platform, options);
  const layer = source.openBlob(selected.bootstrapLayer, options);
  const { bootstrap, metaFiles } = await readBootstrapLayer(layer, `bootstrap layer of ${source.name}`);
  return {
    name: source.name,
    bootstrapBytes: bootstrap,
    blobId: undefined,
    source: source.blobs,
    metaFiles,
    selected,
    imageSource: source,
    resources: undefined,
  };
}

async function locateFile({ bootstrap, blobDirs, blobId }: BootstrapFile): Promise<LocatedImage> {
  // Before the file is looked for, so that wrong usage shows no other failure first.
  checkBlobId(blobId);
  const ownName = basename(bootstrap).replace(/\..*$/s, "");
  const directories = new DirectorySource(blobDirs);
  return {
    name: bootstrap,
    bootstrapBytes: await readBootstrapFile(bootstrap),
    blobId: blobId ?? (isBlobId(ownName) ? ownName : undefined),
    source: directories,
    metaFiles: new Map(),
    selected: undefined,
    imageSource: undefined,
    resources: directories,
  };
}

async function readBootstrapFile(path: string): Promise<Uint8Array> {
  const file = await openStoredFile(path);
  if (file === undefined) throw new CodedError("ERR_IMAGE_NOT_FOUND", `bootstrap ${path} is not there`);
  try {
    if (file.size > BOOTSTRAP_LIMITS.size) {
      throw new CodedError(
        "ERR_LIMIT_EXCEEDED",
        `bootstrap ${path} has ${file.size} bytes, at most ${BOOTSTRAP_LIMITS.size}`,
      );
    }
    return await readStored(file, 0, file.size, `bootstrap ${path}`, "ERR_BOOTSTRAP_CORRUPT");
  } finally {
    await file.handle.close();
  }
}
