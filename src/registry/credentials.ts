/** What a registry wants to see. */
export type Credentials =
  | { readonly kind: "password"; readonly username: string; readonly password: string }
  /** A refresh token, exchanged for access tokens at the registry's token server. */
  | { readonly kind: "identity-token"; readonly token: string };

/** Finds credentials for a repository. */
export interface CredentialSource {
  /**
   * @returns `undefined` when there are none: the access is then anonymous.
   * @throws {CodedError} ERR_CREDENTIALS_INVALID when they cannot be read.
   */
  find(registry: string, repository: string): Promise<Credentials | undefined>;
}

/** No credentials for anybody. */
export const ANONYMOUS: CredentialSource = { find: async () => undefined };

/** The same user name and password for every registry. */
export function givenCredentials(username: string, password: string): CredentialSource {
  return { find: async () => ({ kind: "password", username, password }) };
}
