import { rootCertificates } from "node:tls";

/** TLS options that trust certificates in PEM beside the ones Node brings. */
export function certificateOptions(extra: readonly string[] | undefined): { readonly ca?: string[] } {
  // `ca` replaces the default list, so the default ones are named again.
  return extra === undefined || extra.length === 0 ? {} : { ca: [...rootCertificates, ...extra] };
}
