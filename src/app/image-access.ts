import { readFile } from "node:fs/promises";
import { CodedError } from "../base/errors.ts";
import { type ImageName, parseImageName } from "../format/oci/image-name.ts";
import { formatReference } from "../format/oci/reference.ts";
import { openArchiveSource } from "../layout/archive-source.ts";
import { ArchiveTarget } from "../layout/archive-target.ts";
import { DockerArchiveSource } from "../layout/docker-archive-source.ts";
import { openLayoutSource } from "../layout/layout-source.ts";
import { LayoutTarget } from "../layout/layout-target.ts";
import { HttpClient } from "../net/http-client.ts";
import { CredentialFiles, defaultCredentialFiles } from "../registry/credential-files.ts";
import { type CredentialSource, givenCredentials } from "../registry/credentials.ts";
import { RegistrySource } from "../registry/registry-source.ts";
import { RegistryTarget } from "../registry/registry-target.ts";
import type { ImageSource, ImageTarget } from "../store/image-source.ts";

/** A user name and password as they were typed, for the registry of one of the images at hand. */
export interface Login {
  readonly username: string;
  readonly password: string;
}

/** How registries are reached. */
export interface ImageAccessOptions {
  /** Where credentials come from. @default the login, then docker's and podman's files */
  readonly credentials?: CredentialSource;
  /** Credentials for one registry; for all others those of docker's and podman's files are used. */
  readonly login?: Login & { readonly registry: string };
  /** Whether http without TLS is used beyond loopback. @default false */
  readonly plainHttp?: boolean;
  /** Files of certificates in PEM that are trusted beside the system's. @default [] */
  readonly certificateFiles?: readonly string[];
  /** Says where credential files are: `process.env`. */
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** Opens images by the names users write. */
export class ImageAccess implements AsyncDisposable {
  readonly #http: HttpClient;
  readonly #credentials: CredentialSource;
  readonly #plainHttp: boolean;

  private constructor(http: HttpClient, credentials: CredentialSource, plainHttp: boolean) {
    this.#http = http;
    this.#credentials = credentials;
    this.#plainHttp = plainHttp;
  }

  /** @throws {CodedError} ERR_OPTION_INVALID when a file of certificates cannot be read. */
  static async create(options: ImageAccessOptions): Promise<ImageAccess> {
    const extraCertificates = await Promise.all((options.certificateFiles ?? []).map(readCertificates));
    const credentials = options.credentials ?? credentialsOf(options);
    return new ImageAccess(new HttpClient({ extraCertificates }), credentials, options.plainHttp ?? false);
  }

  /**
   * Opens an image to read. Nothing is looked up yet.
   *
   * @throws {CodedError} ERR_OPTION_INVALID for a name that is not an image, or for a plain directory.
   */
  openSource(name: string): ImageSource {
    const parsed = parseImageName(name);
    switch (parsed.kind) {
      case "registry":
        return new RegistrySource({ http: this.#http, credentials: this.#credentials }, parsed.reference, {
          plainHttp: this.#plainHttp,
        });
      case "oci":
        return openLayoutSource(parsed.directory, parsed.tag);
      case "oci-archive":
        return openArchiveSource(parsed.file, parsed.tag);
      case "docker-archive":
        return new DockerArchiveSource(parsed.file, parsed.reference);
      case "dir":
        throw new CodedError("ERR_OPTION_INVALID", `${name} is a plain directory, not an image`);
    }
  }

  /**
   * Opens a place to write an image to. Nothing is written yet.
   *
   * @throws {CodedError} ERR_OPTION_INVALID for a name that cannot be written to.
   */
  openTarget(name: string): ImageTarget {
    const parsed = parseImageName(name);
    switch (parsed.kind) {
      case "registry":
        if (parsed.reference.digest !== undefined) {
          throw new CodedError("ERR_OPTION_INVALID", `target ${name} names a digest, which is not known yet`);
        }
        return new RegistryTarget({ http: this.#http, credentials: this.#credentials }, parsed.reference, {
          plainHttp: this.#plainHttp,
        });
      case "oci":
        return new LayoutTarget(parsed.directory, tagOf(parsed));
      case "oci-archive":
        return new ArchiveTarget(parsed.file, tagOf(parsed));
      case "docker-archive":
      case "dir":
        throw new CodedError("ERR_OPTION_INVALID", `target ${name} must be a registry, oci: or oci-archive:`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#http[Symbol.asyncDispose]();
  }
}

/**
 * Adds a login to the other options: it is for the registry of the first image that is in one.
 *
 * @throws {CodedError} ERR_OPTION_INVALID when none is.
 */
export function withLogin(
  access: Omit<ImageAccessOptions, "login">,
  login: Login | undefined,
  images: readonly (ImageName | undefined)[],
): ImageAccessOptions {
  if (login === undefined) return access;
  const name = images.find((image) => image?.kind === "registry");
  if (name?.kind !== "registry") {
    throw new CodedError("ERR_OPTION_INVALID", "a user name is given, but no image is in a registry");
  }
  return { ...access, login: { registry: name.reference.registry, ...login } };
}

/** `HOST/REPOSITORY:TAG` of a name in a registry. */
export function registryReferenceOf(name: ImageName): string | undefined {
  return name.kind === "registry" ? formatReference(name.reference) : undefined;
}

function tagOf({ tag }: { readonly tag?: string }): { readonly tag?: string } {
  return tag === undefined ? {} : { tag };
}

function credentialsOf({ login, environment }: ImageAccessOptions): CredentialSource {
  const files = new CredentialFiles(defaultCredentialFiles(environment));
  if (login === undefined) return files;
  const given = givenCredentials(login.username, login.password);
  return {
    // Credentials typed for one registry are never shown to another one.
    find: (registry, repository) => (registry === login.registry ? given : files).find(registry, repository),
  };
}

async function readCertificates(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    throw new CodedError("ERR_OPTION_INVALID", `certificates ${path} cannot be read`, { cause });
  }
}
