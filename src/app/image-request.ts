import { CodedError } from "../base/errors.ts";
import type { Platform } from "../format/oci/descriptor.ts";
import { parseImageName } from "../format/oci/image-name.ts";
import type { ImageSource } from "../store/image-source.ts";
import { type BlobPlace, openBlobPlaces } from "./blob-places.ts";
import { platformOrHost } from "./host-platform.ts";
import { ImageAccess, type ImageAccessOptions, type Login, withLogin } from "./image-access.ts";
import type { NydusImage } from "./nydus-image.ts";
import {
  type BootstrapFile,
  type LocatedImage,
  locateNydusImage,
  openLocatedImage,
} from "./open-nydus-image.ts";

export type { NydusImage } from "./nydus-image.ts";

/** Which Nydus image a user means, and how to reach it. */
export interface ImageRequest {
  /** IMAGE; or else `bootstrap` and `blobDirs`. */
  readonly image?: string;
  /** File of the bootstrap of a bare image. */
  readonly bootstrap?: string;
  /** Directories of the blobs of a bare image. @default [] */
  readonly blobDirs?: readonly string[];
  /** Id of the blob that the bootstrap of a bare image was inlined in. @default its file's name */
  readonly blobId?: string;
  /** Places that are asked for blobs before the one that has the image. @default [] */
  readonly blobPlaces?: readonly BlobPlace[];
  /** `os/arch[/variant]`. @default the host's */
  readonly platform?: string;
  readonly access: Omit<ImageAccessOptions, "login">;
  readonly login?: Login;
}

/** What an action on a located image works with. */
export interface RequestedImage {
  readonly located: LocatedImage;
  readonly platform: Platform;
  /** Opens another image with the same credentials; the caller disposes it. */
  readonly openSource: (name: string) => ImageSource;
}

/**
 * Finds the image that a user means, for as long as the action runs.
 *
 * @throws {CodedError} ERR_OPTION_INVALID when the request contradicts itself; as
 *   {@link locateNydusImage}; and what the action throws.
 */
export async function withLocatedImage<Result>(
  request: ImageRequest,
  signal: AbortSignal,
  action: (image: RequestedImage) => Promise<Result>,
): Promise<Result> {
  const platform = platformOrHost(request.platform);
  const file = bootstrapFileOf(request);
  const { blobPlaces = [] } = request;
  const name = request.image === undefined ? undefined : parseImageName(request.image);
  await using access = await ImageAccess.create(withLogin(request.access, request.login, [name]));
  const openSource = (name: string): ImageSource => access.openSource(name);
  if (file !== undefined) {
    const located = await locateNydusImage(file, { signal, platform });
    await using _ = located.resources;
    await using places = openBlobPlaces(blobPlaces, located.source, undefined, access);
    return await action({ located: { ...located, source: places.source }, platform, openSource });
  }
  await using source = access.openSource(request.image ?? "");
  const located = await locateNydusImage(source, { signal, platform });
  await using places = openBlobPlaces(blobPlaces, located.source, request.image, access);
  return await action({ located: { ...located, source: places.source }, platform, openSource });
}

/**
 * Opens the image that a user means, for as long as the action runs.
 *
 * @throws {CodedError} as {@link withLocatedImage} and {@link openLocatedImage}.
 */
export function withNydusImage<Result>(
  request: ImageRequest,
  options: { readonly signal: AbortSignal; readonly allowUnsupported?: boolean },
  action: (image: NydusImage) => Promise<Result>,
): Promise<Result> {
  return withLocatedImage(request, options.signal, ({ located }) =>
    action(openLocatedImage(located, options)),
  );
}

function bootstrapFileOf(request: ImageRequest): BootstrapFile | undefined {
  const { image, bootstrap, blobDirs = [], blobId } = request;
  if (image !== undefined && bootstrap !== undefined) {
    throw new CodedError("ERR_OPTION_INVALID", "an image and a bootstrap file cannot both be meant");
  }
  if (bootstrap !== undefined) return { bootstrap, blobDirs, ...(blobId !== undefined && { blobId }) };
  if (blobDirs.length > 0 || blobId !== undefined) {
    throw new CodedError("ERR_OPTION_INVALID", "directories and ids of blobs go with a bootstrap file");
  }
  if (image === undefined) {
    throw new CodedError("ERR_OPTION_INVALID", "an image or a bootstrap file must be given");
  }
  return undefined;
}
