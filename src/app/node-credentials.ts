import { CodedError } from "../base/errors.ts";
import { CredentialFiles, defaultCredentialFiles } from "../registry/credential-files.ts";
import type { CredentialSource, Credentials } from "../registry/credentials.ts";
import type { DaemonConfig } from "./daemon-config.ts";

/** Registries and repositories whose credentials came over the control socket. */
const MAX_GIVEN = 65_536;

/**
 * The credentials of a node, in memory only: those that came with a mount, then those given for a registry, then the
 * configuration, then files in docker's format. Each is asked again for every login, so a renewed one counts at once.
 */
export class NodeCredentials implements CredentialSource {
  /** By `REGISTRY/REPOSITORY` or `REGISTRY`. */
  readonly #given: Map<string, Credentials>;
  #config: DaemonConfig["registry"];
  #files: CredentialFiles;

  /** @param secrets What {@link NodeCredentials.secrets} of a predecessor gave. */
  constructor(config: DaemonConfig["registry"], secrets: string | undefined) {
    this.#config = config;
    this.#files = filesOf(config);
    this.#given = new Map(secrets === undefined ? [] : (JSON.parse(secrets) as [string, Credentials][]));
  }

  async find(registry: string, repository: string): Promise<Credentials | undefined> {
    const given = this.#given.get(`${registry}/${repository}`) ?? this.#given.get(registry);
    if (given !== undefined) return given;
    const login = Object.hasOwn(this.#config.credentials, registry)
      ? this.#config.credentials[registry]
      : undefined;
    if (login !== undefined) return { kind: "password", ...login };
    return this.#files.find(registry, repository);
  }

  /** Replaces what the configuration says. */
  reload(config: DaemonConfig["registry"]): void {
    this.#config = config;
    this.#files = filesOf(config);
  }

  /**
   * Keeps credentials that came over the control socket, or forgets them when there are none.
   *
   * @param scope A registry, or a registry and a repository with a slash between.
   * @throws {CodedError} ERR_LIMIT_EXCEEDED.
   */
  give(scope: string, credentials: Credentials | undefined): void {
    if (credentials === undefined) {
      this.#given.delete(scope);
      return;
    }
    if (!this.#given.has(scope) && this.#given.size >= MAX_GIVEN) {
      throw new CodedError(
        "ERR_LIMIT_EXCEEDED",
        `credentials were given for ${MAX_GIVEN} registries already`,
      );
    }
    this.#given.set(scope, credentials);
  }

  /** All that came over the control socket, for a successor of this process. */
  get secrets(): string {
    return JSON.stringify([...this.#given]);
  }
}

function filesOf({ credentialFiles }: DaemonConfig["registry"]): CredentialFiles {
  return new CredentialFiles(
    credentialFiles.length > 0 ? credentialFiles : defaultCredentialFiles(process.env),
  );
}
