import { type Digest, isBlobId } from "../../base/digest.ts";
import { CodedError } from "../../base/errors.ts";
import { MAX_IMAGE_NAME_LENGTH, MAX_REPOSITORY_LENGTH } from "./limits.ts";

/** An image in a registry. */
export interface Reference {
  /** Host and port as written: `docker.io`, `localhost:5000`, `[::1]:5000`. */
  readonly registry: string;
  /** `library/debian`. */
  readonly repository: string;
  /** Absent when only a digest is given. */
  readonly tag?: string;
  readonly digest?: Digest;
}

/** The registry of references that name none. */
export const DEFAULT_REGISTRY = "docker.io";
/** The tag of references that give neither tag nor digest. */
export const DEFAULT_TAG = "latest";

const HOST =
  /^(?:\[[0-9A-Fa-f:]{2,45}\]|[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*)(?::([0-9]{1,5}))?$/;
const PATH_PART = /^[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*$/;
const TAG = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;

/**
 * Reads a reference as docker does: `[HOST[:PORT]/]REPOSITORY[:TAG][@DIGEST]`.
 *
 * The first part is a host when it has a dot or a port, or is `localhost`; otherwise the image is on
 * docker.io, in `library/` when its name has one part. Without tag and digest the tag is `latest`.
 *
 * @throws {CodedError} ERR_OPTION_INVALID for anything else.
 */
export function parseReference(text: string): Reference {
  const refuse = (why: string): CodedError =>
    new CodedError("ERR_OPTION_INVALID", `image reference ${JSON.stringify(text.slice(0, 300))} ${why}`);
  if (text.length > MAX_IMAGE_NAME_LENGTH) throw refuse(`has over ${MAX_IMAGE_NAME_LENGTH} characters`);
  const at = text.indexOf("@");
  const digest = at < 0 ? undefined : text.slice(at + 1);
  if (digest !== undefined && !(digest.startsWith("sha256:") && isBlobId(digest.slice(7)))) {
    throw refuse("has a digest that is not sha256:<64 hex digits>");
  }
  const named = at < 0 ? text : text.slice(0, at);
  const colon = named.indexOf(":", named.lastIndexOf("/") + 1);
  const tag = colon < 0 ? undefined : named.slice(colon + 1);
  if (tag !== undefined && !TAG.test(tag))
    throw refuse(`has an invalid tag ${JSON.stringify(tag.slice(0, 200))}`);
  const { registry, repository } = splitRepository(colon < 0 ? named : named.slice(0, colon));
  const port = HOST.exec(registry);
  if (port === null || Number(port[1] ?? 1) > 65535)
    throw refuse(`has an invalid host ${JSON.stringify(registry)}`);
  if (!repository.split("/").every((part) => PATH_PART.test(part))) {
    throw refuse(`has an invalid repository ${JSON.stringify(repository)}`);
  }
  if (registry.length + 1 + repository.length > MAX_REPOSITORY_LENGTH) {
    throw refuse(`names a repository of over ${MAX_REPOSITORY_LENGTH} characters`);
  }
  const finalTag = tag ?? (digest === undefined ? DEFAULT_TAG : undefined);
  return {
    registry,
    repository,
    ...(finalTag !== undefined && { tag: finalTag }),
    ...(digest !== undefined && { digest: digest as Digest }),
  };
}

/** `HOST/REPOSITORY[:TAG][@DIGEST]`, with host and `library/` spelt out. */
export function formatReference(reference: Reference): string {
  const { registry, repository, tag, digest } = reference;
  return `${registry}/${repository}${tag === undefined ? "" : `:${tag}`}${digest === undefined ? "" : `@${digest}`}`;
}

function splitRepository(path: string): { registry: string; repository: string } {
  const slash = path.indexOf("/");
  const first = slash < 0 ? "" : path.slice(0, slash);
  if (first === "localhost" || /[.:A-Z]/.test(first)) {
    const registry =
      first === "index.docker.io" || first === "registry-1.docker.io" ? DEFAULT_REGISTRY : first;
    return { registry, repository: defaulted(registry, path.slice(slash + 1)) };
  }
  return { registry: DEFAULT_REGISTRY, repository: defaulted(DEFAULT_REGISTRY, path) };
}

function defaulted(registry: string, repository: string): string {
  return registry === DEFAULT_REGISTRY && !repository.includes("/") ? `library/${repository}` : repository;
}
