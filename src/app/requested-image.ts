import { CodedError } from "../base/errors.ts";
import { parseImageName } from "../format/oci/image-name.ts";
import { parsePlatform } from "../format/oci/platform.ts";
import { ImageAccess, type ImageAccessOptions } from "./image-access.ts";
import type { NydusImage } from "./nydus-image.ts";
import { type BootstrapFile, openNydusImage } from "./open-nydus-image.ts";

/** Which Nydus image a user means, and how to reach it. */
export interface ImageRequest {
  /** IMAGE, or a bare image in Nydus files. */
  readonly image: string | BootstrapFile;
  /** `os/arch[/variant]`. @default the host's */
  readonly platform?: string;
  readonly access: Omit<ImageAccessOptions, "login">;
  readonly login?: { readonly username: string; readonly password: string };
  /** Accept images whose chunks cannot be read, for what is only about metadata. @default false */
  readonly allowUnsupported?: boolean;
}

/**
 * Opens the image that a user asked for, hands it to `use`, and closes it.
 *
 * @throws {CodedError} ERR_OPTION_INVALID, as {@link openNydusImage}, and what `use` throws.
 */
export async function withRequestedImage<Result>(
  request: ImageRequest,
  signal: AbortSignal,
  use: (image: NydusImage) => Promise<Result>,
): Promise<Result> {
  const options = {
    signal,
    allowUnsupported: request.allowUnsupported ?? false,
    ...(request.platform !== undefined && { platform: parsePlatform(request.platform) }),
  };
  if (typeof request.image !== "string") {
    await using image = await openNydusImage(request.image, options);
    return await use(image);
  }
  const login = loginFor(request.image, request.login);
  await using access = await ImageAccess.create({ ...request.access, ...(login !== undefined && { login }) });
  await using source = access.openSource(request.image);
  await using image = await openNydusImage(source, options);
  return await use(image);
}

function loginFor(name: string, login: ImageRequest["login"]): ImageAccessOptions["login"] {
  if (login === undefined) return undefined;
  const parsed = parseImageName(name);
  if (parsed.kind !== "registry") {
    throw new CodedError("ERR_OPTION_INVALID", `a user name is given, but ${name} is not in a registry`);
  }
  return { registry: parsed.reference.registry, ...login };
}
