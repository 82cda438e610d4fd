import { DirectorySource } from "../backend/directory-source.ts";
import { DragonflySource } from "../backend/dragonfly-source.ts";
import { type S3Location, S3Source } from "../backend/s3-source.ts";
import { CodedError } from "../base/errors.ts";
import type { BlobSource } from "../store/blob-source.ts";
import { fallbackBlobs } from "../store/fallback-blobs.ts";
import type { ImageAccess } from "./image-access.ts";

/** A place that has blobs beside the one that has the image. */
export type BlobPlace =
  | { readonly kind: "s3"; readonly location: S3Location }
  | { readonly kind: "dir"; readonly directory: string }
  | { readonly kind: "dragonfly"; readonly address: URL };

/** Places that may be named for one image. */
const MAX_PLACES = 16;

/** How users write a {@link BlobPlace}. */
export const BLOB_PLACE_FORMS =
  "s3://BUCKET[/PREFIX][?endpoint=URL&region=NAME&path-style=BOOLEAN], dragonfly+http://HOST:PORT or dir:PATH";

/**
 * Reads the name of a place of blobs.
 *
 * @throws {CodedError} ERR_OPTION_INVALID.
 */
export function parseBlobPlace(text: string): BlobPlace {
  if (text.startsWith("dir:") && text.length > 4) return { kind: "dir", directory: text.slice(4) };
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol === "s3:" && url.hostname !== "" && url.username === "") {
    return { kind: "s3", location: s3LocationOf(url) };
  }
  const isDragonfly = url?.protocol === "dragonfly+http:" || url?.protocol === "dragonfly+https:";
  if (url !== undefined && isDragonfly && url.host !== "" && url.username === "") {
    return { kind: "dragonfly", address: new URL(`${url.protocol.slice("dragonfly+".length)}//${url.host}`) };
  }
  throw invalid(text);
}

/** Opened places; its source asks them in their order, and last the place that has the image. */
export interface OpenBlobPlaces extends AsyncDisposable {
  readonly source: BlobSource;
}

/**
 * Puts places of blobs before the one that has the image.
 *
 * @param image The image as the user wrote it; a Dragonfly needs one in a registry.
 * @throws {CodedError} ERR_OPTION_INVALID.
 */
export function openBlobPlaces(
  places: readonly BlobPlace[],
  own: BlobSource,
  image: string | undefined,
  access: ImageAccess,
): OpenBlobPlaces {
  if (places.length > MAX_PLACES) {
    throw new CodedError("ERR_OPTION_INVALID", `${places.length} places of blobs, at most ${MAX_PLACES}`);
  }
  const opened: (BlobSource & Partial<AsyncDisposable>)[] = places.map((place) => {
    if (place.kind === "s3") return new S3Source(place.location);
    if (place.kind === "dir") return new DirectorySource([place.directory]);
    const { requests, upstream } = access.openFronted(image ?? "", place.address);
    return new DragonflySource(requests, upstream);
  });
  const [first, ...others] = [...opened, own];
  return {
    source: fallbackBlobs([first ?? own, ...others]),
    async [Symbol.asyncDispose]() {
      for (const source of opened) await source[Symbol.asyncDispose]?.();
    },
  };
}

function s3LocationOf(url: URL): S3Location {
  const { searchParams } = url;
  for (const [name, value] of searchParams) {
    const isKnown =
      (name === "endpoint" && URL.canParse(value) && /^https?:/.test(value)) ||
      (name === "region" && /^[a-z0-9-]{1,64}$/.test(value)) ||
      (name === "path-style" && /^(true|false)$/.test(value));
    if (!isKnown) throw invalid(url.href);
  }
  const [endpoint, region, style] = ["endpoint", "region", "path-style"].map((name) =>
    searchParams.get(name),
  );
  return {
    bucket: url.hostname,
    prefix: decodeURIComponent(url.pathname.slice(1)),
    ...(typeof endpoint === "string" && { endpoint }),
    ...(typeof region === "string" && { region }),
    ...(typeof style === "string" && { usesPathStyle: style === "true" }),
  };
}

function invalid(text: string): CodedError {
  return new CodedError(
    "ERR_OPTION_INVALID",
    `blob source must be ${BLOB_PLACE_FORMS}, got ${JSON.stringify(text)}`,
  );
}
