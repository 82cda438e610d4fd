import { CodedError } from "../../base/errors.ts";
import { MAX_IMAGE_NAME_LENGTH } from "./limits.ts";
import { formatReference, parseReference, type Reference } from "./reference.ts";

/** Where an image lies, as the IMAGE of a command line says it. */
export type ImageName =
  | { readonly kind: "registry"; readonly reference: Reference }
  | { readonly kind: "oci"; readonly directory: string; readonly tag?: string }
  | { readonly kind: "oci-archive"; readonly file: string; readonly tag?: string }
  | { readonly kind: "docker-archive"; readonly file: string; readonly reference?: Reference }
  | { readonly kind: "dir"; readonly path: string };

// Transports of skopeo that we do not have: without this list `containers-storage:x` would be read
// as tag x of docker.io/library/containers-storage.
const FOREIGN_TRANSPORTS = [
  "containers-storage",
  "docker-daemon",
  "ostree",
  "sif",
  "tarball",
  "atomic",
  "static",
];

/**
 * Reads an IMAGE: `docker://REFERENCE`, `REFERENCE`, `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]`,
 * `docker-archive:FILE[:REFERENCE]` or `dir:PATH`. A path ends at its first colon.
 *
 * @throws {CodedError} ERR_OPTION_INVALID for anything else.
 * @see containers-transports(5)
 */
export function parseImageName(text: string): ImageName {
  if (text.length > MAX_IMAGE_NAME_LENGTH || text.includes("\0")) throw refusal(text, "is not an image name");
  if (text.startsWith("docker://")) return { kind: "registry", reference: parseReference(text.slice(9)) };
  const colon = text.indexOf(":");
  const scheme = colon < 0 ? "" : text.slice(0, colon);
  const rest = text.slice(colon + 1);
  switch (scheme) {
    case "oci":
    case "oci-archive": {
      const [path, tag] = splitPath(text, rest);
      if (tag !== undefined && !/^[A-Za-z0-9][A-Za-z0-9._\-:@/+]{0,254}$/.test(tag)) {
        throw refusal(text, `has an invalid tag ${JSON.stringify(tag)}`);
      }
      const tagged = tag === undefined ? {} : { tag };
      return scheme === "oci"
        ? { kind: "oci", directory: path, ...tagged }
        : { kind: "oci-archive", file: path, ...tagged };
    }
    case "docker-archive": {
      const [file, reference] = splitPath(text, rest);
      return {
        kind: "docker-archive",
        file,
        ...(reference !== undefined && { reference: parseReference(reference) }),
      };
    }
    case "dir":
      if (rest === "") throw refusal(text, "names no directory");
      return { kind: "dir", path: rest };
    default:
      if (FOREIGN_TRANSPORTS.includes(scheme) || rest.startsWith("//")) {
        throw refusal(text, `has the unknown transport ${JSON.stringify(scheme)}`);
      }
      return { kind: "registry", reference: parseReference(text) };
  }
}

/** The IMAGE spelling of a name; {@link parseImageName} reads it back. */
export function formatImageName(name: ImageName): string {
  const suffix = (text: string | undefined): string => (text === undefined ? "" : `:${text}`);
  switch (name.kind) {
    case "registry":
      return `docker://${formatReference(name.reference)}`;
    case "oci":
      return `oci:${name.directory}${suffix(name.tag)}`;
    case "oci-archive":
      return `oci-archive:${name.file}${suffix(name.tag)}`;
    case "docker-archive":
      return `docker-archive:${name.file}${suffix(name.reference && formatReference(name.reference))}`;
    case "dir":
      return `dir:${name.path}`;
  }
}

function splitPath(text: string, rest: string): [path: string, name: string | undefined] {
  const colon = rest.indexOf(":");
  const path = colon < 0 ? rest : rest.slice(0, colon);
  const name = colon < 0 ? undefined : rest.slice(colon + 1);
  if (path === "") throw refusal(text, "names no path");
  if (name === "") throw refusal(text, "ends with a colon");
  return [path, name];
}

function refusal(text: string, why: string): CodedError {
  return new CodedError("ERR_OPTION_INVALID", `image ${JSON.stringify(text.slice(0, 300))} ${why}`);
}
