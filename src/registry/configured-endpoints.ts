import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { CodedError } from "../base/errors.ts";
import type { Certificates } from "../net/certificates.ts";
import { readCertificateFolder, readClientCertificate, readPem } from "./certificate-files.ts";
import { type Endpoint, type EndpointSource, registryEndpoint } from "./endpoint.ts";
import { type HostSection, parseHostsFile } from "./hosts-file.ts";
import { isMissingFile } from "./missing-file.ts";
import { apiHostOf, isLoopback } from "./registry-host.ts";

/** Where {@link ConfiguredEndpoints} look. */
export interface EndpointConfiguration {
  /** Whether http without TLS is used beyond loopback for registries without a hosts.toml. @default false */
  readonly plainHttp?: boolean;
  /** Trusted by every connection; shown to registries, but not to mirrors. @default none */
  readonly certificates?: Certificates;
  /** Folders in the form of docker's certs.d, all of them read. @default [] */
  readonly certificateFolders?: readonly string[];
  /** A folder in the form of containerd's certs.d. @default none */
  readonly hostsFolder?: string | undefined;
}

/** The servers for a registry, as docker's and containerd's folders describe them. */
export class ConfiguredEndpoints implements EndpointSource {
  readonly #configuration: EndpointConfiguration;
  /** What was found, so that images of one registry share its connections. */
  readonly #found = new Map<string, Promise<readonly Endpoint[]>>();

  constructor(configuration: EndpointConfiguration) {
    this.#configuration = configuration;
  }

  find(registry: string): Promise<readonly Endpoint[]> {
    const found = this.#found.get(registry) ?? this.#read(registry);
    this.#found.set(registry, found);
    return found;
  }

  async #read(registry: string): Promise<readonly Endpoint[]> {
    const { hostsFolder, plainHttp = false } = this.#configuration;
    const folder = hostsFolder === undefined ? undefined : await findFolder(hostsFolder, registry);
    const text = folder === undefined ? undefined : await readHostsFile(folder);
    const plain = registryEndpoint(registry, plainHttp);
    if (folder === undefined || text === undefined) {
      // containerd reads a folder without hosts.toml as docker does.
      const folders = folder === undefined ? [] : [folder];
      return [{ ...plain, certificates: await this.#certificatesOf(plain.host, true, folders) }];
    }
    const { mirrors, registry: own } = parseHostsFile(text, join(folder, HOSTS_FILE), folder, plain.host);
    const endpoints = await Promise.all([
      ...mirrors.map(async (section) => ({
        ...(await this.#endpointOf(section, registry, false)),
        namespace: registry,
      })),
      this.#endpointOf(own, registry, true),
    ]);
    return endpoints;
  }

  async #endpointOf(section: HostSection, registry: string, isOwn: boolean): Promise<Endpoint> {
    const { server, needs, headers, isPathWhole, certificateFiles, clientFiles } = section;
    const text = server.includes("://") ? server : `https://${server}`;
    const url = URL.canParse(text) ? new URL(text) : undefined;
    if (url === undefined || (url.protocol !== "https:" && url.protocol !== "http:")) {
      throw new CodedError(
        "ERR_OPTION_INVALID",
        `${server}, a server for ${registry}, is no http or https URL`,
      );
    }
    const base = await this.#certificatesOf(url.host, isOwn, []);
    const trusted = await Promise.all(certificateFiles.map(readPem));
    const client = clientFiles === undefined ? base.client : await readClientCertificate(...clientFiles);
    const path = url.pathname.replace(/\/+$/, "");
    return {
      account: url.host === apiHostOf(registry) ? registry : url.host,
      host: url.host,
      scheme: server.includes("://") ? url.protocol : isLoopback(url.host) ? "either" : "https:",
      path: isPathWhole || path.endsWith("/v2") ? path : `${path}/v2`,
      needs,
      certificates: certificatesFrom([...(base.trusted ?? []), ...trusted], client),
      headers,
    };
  }

  async #certificatesOf(host: string, isOwn: boolean, more: readonly string[]): Promise<Certificates> {
    const { certificates = {}, certificateFolders = [] } = this.#configuration;
    const folders = [...certificateFolders.map((folder) => join(folder, host)), ...more];
    const found = await Promise.all(folders.map(readCertificateFolder));
    const trusted = [certificates, ...found].flatMap((each) => each.trusted ?? []);
    const given = isOwn ? certificates.client : undefined;
    return certificatesFrom(trusted, given ?? found.find(({ client }) => client !== undefined)?.client);
  }
}

const HOSTS_FILE = "hosts.toml";

function certificatesFrom(trusted: readonly string[], client: Certificates["client"]): Certificates {
  return { trusted, ...(client !== undefined && { client }) };
}

/** The folder for a registry: `HOST_PORT_` where a colon is not wanted in a name, `HOST:PORT`, or `_default`. */
async function findFolder(hostsFolder: string, registry: string): Promise<string | undefined> {
  if (!(await isFolder(hostsFolder))) {
    throw new CodedError("ERR_OPTION_INVALID", `folder of mirrors ${hostsFolder} does not exist`);
  }
  const names = [registry.replace(/:(\d+)$/, "_$1_"), registry, "_default"];
  for (const name of names) {
    const folder = join(hostsFolder, name);
    if (await isFolder(folder)) return folder;
  }
  return undefined;
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (cause) {
    if (isMissingFile(cause)) return false;
    throw new CodedError("ERR_OPTION_INVALID", `folder of mirrors ${path} cannot be read`, { cause });
  }
}

async function readHostsFile(folder: string): Promise<string | undefined> {
  const path = join(folder, HOSTS_FILE);
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    if (isMissingFile(cause)) return undefined;
    throw new CodedError("ERR_OPTION_INVALID", `${path} cannot be read`, { cause });
  }
}
