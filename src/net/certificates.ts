import { rootCertificates } from "node:tls";

/** Certificates for the connections to one server, in PEM. */
export interface Certificates {
  /** Trusted beside the ones that Node brings. @default [] */
  readonly trusted?: readonly string[];
  /** What we show to a server that asks who we are. @default nothing */
  readonly client?: { readonly certificate: string; readonly key: string };
}

/** The same trust, without what says who we are: for servers that another one names. */
export function withoutClient(certificates: Certificates): Certificates {
  const { trusted, client } = certificates;
  return client === undefined ? certificates : { ...(trusted !== undefined && { trusted }) };
}

/** Options of `node:tls` for such connections. */
export function certificateOptions({ trusted = [], client }: Certificates): {
  readonly ca?: string[];
  readonly cert?: string;
  readonly key?: string;
} {
  return {
    // `ca` replaces the default list, so the default ones are named again.
    ...(trusted.length > 0 && { ca: [...rootCertificates, ...trusted] }),
    ...(client !== undefined && { cert: client.certificate, key: client.key }),
  };
}
