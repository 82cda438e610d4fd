import { checkBootstrap } from "../image/check.ts";

/** The first fault of a bootstrap, for people. */
export function findFault(bootstrap: Uint8Array): string | undefined {
  const fault = checkBootstrap(bootstrap).find(({ severity }) => severity === "error");
  return fault === undefined ? undefined : `${fault.where}: ${fault.message}`;
}
