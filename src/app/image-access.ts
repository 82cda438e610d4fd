import type { DragonflyRequests } from "../backend/dragonfly-source.ts";
import { digestFromHex } from "../base/digest.ts";
import { CodedError } from "../base/errors.ts";
import { type ImageName, parseImageName } from "../format/oci/image-name.ts";
import { formatReference } from "../format/oci/reference.ts";
import { openArchiveSource } from "../layout/archive-source.ts";
import { ArchiveTarget } from "../layout/archive-target.ts";
import { DockerArchiveSource } from "../layout/docker-archive-source.ts";
import { openLayoutSource } from "../layout/layout-source.ts";
import { LayoutTarget } from "../layout/layout-target.ts";
import { type Certificates, withoutClient } from "../net/certificates.ts";
import { HttpClient } from "../net/http-client.ts";
import { proxiesOf } from "../net/proxy.ts";
import { DEFAULT_RETRY, MOUNT_RETRY } from "../net/retry.ts";
import { dockerCertificateFolders, readClientCertificate, readPem } from "../registry/certificate-files.ts";
import { ConfiguredEndpoints } from "../registry/configured-endpoints.ts";
import { CredentialFiles, defaultCredentialFiles } from "../registry/credential-files.ts";
import { type CredentialSource, givenCredentials } from "../registry/credentials.ts";
import type { Endpoint } from "../registry/endpoint.ts";
import {
  RegistryClient,
  type RegistryDependencies,
  type RegistryOptions,
} from "../registry/registry-client.ts";
import { apiHostOf, isLoopback } from "../registry/registry-host.ts";
import { RegistrySource } from "../registry/registry-source.ts";
import { RegistryTarget } from "../registry/registry-target.ts";
import type { ImageSource, ImageTarget } from "../store/image-source.ts";

/** A user name and password as they were typed, for the registry of one of the images at hand. */
export interface Login {
  readonly username: string;
  readonly password: string;
}

const ANY_STATUS = Array.from({ length: 500 }, (_, at) => 100 + at);

const RETRIES = { job: DEFAULT_RETRY, reader: MOUNT_RETRY };

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
  /** The certificate that we show to registries, and its key, in PEM. @default none */
  readonly clientCertificate?: { readonly certificateFile: string; readonly keyFile: string };
  /** A folder in the form of containerd's certs.d, with mirrors of registries. @default none */
  readonly hostsFolder?: string;
  /** Who waits for a registry that does not answer: a job, for minutes, or the reader of a mount. @default "job" */
  readonly patience?: keyof typeof RETRIES;
  /** Says where credential files and proxies are: `process.env`. */
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** Opens images by the names users write. */
export class ImageAccess implements AsyncDisposable {
  readonly #registries: RegistryDependencies;
  readonly #registryOptions: RegistryOptions;

  private constructor(registries: RegistryDependencies, registryOptions: RegistryOptions) {
    this.#registries = registries;
    this.#registryOptions = registryOptions;
  }

  /**
   * @throws {CodedError} ERR_OPTION_INVALID when a file of certificates cannot be read, or the environment names a proxy
   *   of an unknown kind.
   */
  static async create(options: ImageAccessOptions): Promise<ImageAccess> {
    const { environment, plainHttp = false, hostsFolder, patience = "job" } = options;
    const certificates = await readCertificates(options);
    const endpoints = new ConfiguredEndpoints({
      plainHttp,
      certificates,
      certificateFolders: dockerCertificateFolders(environment),
      hostsFolder,
    });
    const credentials = options.credentials ?? credentialsOf(options);
    const proxyFor = proxiesOf(environment);
    const http = new HttpClient({ proxyFor, certificates: withoutClient(certificates) });
    return new ImageAccess({ http, credentials, endpoints }, { retry: RETRIES[patience], plainHttp });
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
        return new RegistrySource(this.#registries, parsed.reference, this.#registryOptions);
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
        return new RegistryTarget(this.#registries, parsed.reference, this.#registryOptions);
      case "oci":
        return new LayoutTarget(parsed.directory, tagOf(parsed));
      case "oci-archive":
        return new ArchiveTarget(parsed.file, tagOf(parsed));
      case "docker-archive":
      case "dir":
        throw new CodedError("ERR_OPTION_INVALID", `target ${name} must be a registry, oci: or oci-archive:`);
    }
  }

  /**
   * Requests for the blobs of an image in a registry, sent to a server that stands before the registry: logins are the
   * registry's, and any status is an answer.
   *
   * @returns Also where the server finds the registry.
   * @throws {CodedError} ERR_OPTION_INVALID when the image is in no registry, or credentials would leave this machine
   *   unencrypted.
   */
  openFronted(
    name: string,
    address: URL,
  ): { readonly requests: DragonflyRequests; readonly upstream: string } {
    const parsed = parseImageName(name);
    if (parsed.kind !== "registry") {
      throw new CodedError(
        "ERR_OPTION_INVALID",
        `${name} is in no registry, so that ${address.host} cannot serve it`,
      );
    }
    const { plainHttp = false } = this.#registryOptions;
    const isPlain = address.protocol === "http:";
    if (isPlain && !plainHttp && !isLoopback(address.host)) {
      throw new CodedError(
        "ERR_OPTION_INVALID",
        `${address.host} is not this machine and not asked with TLS`,
      );
    }
    const { registry } = parsed.reference;
    const endpoint: Endpoint = {
      account: registry,
      host: address.host,
      scheme: isPlain ? "http:" : "https:",
      path: "/v2",
      needs: ["pull"],
      headers: {},
    };
    const endpoints = { find: async () => [endpoint] };
    const client = new RegistryClient({ ...this.#registries, endpoints }, parsed.reference);
    const host = apiHostOf(registry);
    return {
      upstream: `${plainHttp || isLoopback(host) ? "http" : "https"}://${host}`,
      requests: {
        get: (blobId, headers, signal) => {
          const what = `blob ${blobId} of ${name} by ${address.host}`;
          const target = `blobs/${digestFromHex(blobId)}`;
          return client.sendOnce({
            method: "GET",
            target,
            need: "pull",
            headers,
            allow: ANY_STATUS,
            what,
            signal,
          });
        },
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#registries.http[Symbol.asyncDispose]();
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

async function readCertificates(options: ImageAccessOptions): Promise<Certificates> {
  const { certificateFiles = [], clientCertificate } = options;
  const trusted = await Promise.all(certificateFiles.map(readPem));
  if (clientCertificate === undefined) return { trusted };
  const { certificateFile, keyFile } = clientCertificate;
  return { trusted, client: await readClientCertificate(certificateFile, keyFile) };
}
