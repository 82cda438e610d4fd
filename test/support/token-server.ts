import { createHash, createPublicKey, createSign, randomUUID } from "node:crypto";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Pair } from "./certificates.ts";

/** A server of tokens that docker-registry believes, for `someone` with the password `secret`. */
export class TokenServer implements AsyncDisposable {
  /** The scopes of every token it gave. */
  readonly scopes: (readonly string[])[] = [];
  readonly #server: Server;

  private constructor(signer: Pair) {
    this.#server = createServer((request, response) => {
      const url = new URL(request.url ?? "/", "http://localhost");
      const basic = `Basic ${Buffer.from("someone:secret").toString("base64")}`;
      if (request.headers.authorization !== basic) {
        response.writeHead(401).end();
        return;
      }
      const scopes = url.searchParams.getAll("scope");
      this.scopes.push(scopes);
      response.end(JSON.stringify({ token: makeToken(signer, scopes), expires_in: 300 }));
    });
  }

  /** Starts one. */
  static async start(signer: Pair): Promise<TokenServer> {
    const server = new TokenServer(signer);
    await new Promise<void>((resolve) => server.#server.listen(0, "127.0.0.1", resolve));
    return server;
  }

  /** The `auth` of a docker-registry that sends its clients here. */
  auth(signer: Pair): Readonly<Record<string, unknown>> {
    const { port } = this.#server.address() as AddressInfo;
    const realm = `http://127.0.0.1:${port}/token`;
    return { token: { realm, service: "test", issuer: "test", rootcertbundle: signer.certificateFile } };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** @see distribution docs/spec/auth/jwt.md */
function makeToken(signer: Pair, scopes: readonly string[]): string {
  const now = Math.floor(Date.now() / 1000);
  const access = scopes.map((scope) => {
    const [type, name, actions = ""] = scope.split(":");
    return { type, name, actions: actions.split(",") };
  });
  const claims = { iss: "test", sub: "someone", aud: "test", exp: now + 300, nbf: now - 10, iat: now };
  const certificate = signer.certificate.replace(/-----[^-]+-----|\s/g, "");
  const header = { typ: "JWT", alg: "RS256", kid: keyId(signer), x5c: [certificate] };
  const signed = [header, { ...claims, jti: randomUUID(), access }]
    .map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"))
    .join(".");
  return `${signed}.${createSign("RSA-SHA256").update(signed).sign(signer.key, "base64url")}`;
}

/** libtrust's name of a key: groups of base32 of the digest of its DER form. */
function keyId({ certificate }: Pair): string {
  const der = createPublicKey(certificate).export({ type: "spki", format: "der" });
  const bytes = createHash("sha256").update(der).digest().subarray(0, 30);
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, "0")).join("");
  const letters = (bits.match(/.{5}/g) ?? []).map((five) => alphabet[Number.parseInt(five, 2)]).join("");
  return (letters.match(/.{4}/g) ?? []).join(":");
}
