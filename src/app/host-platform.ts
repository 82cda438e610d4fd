import type { Platform } from "../format/oci/descriptor.ts";
import { parsePlatform, platformOfHost } from "../format/oci/platform.ts";

/** The platform that `text` names, as `os/arch[/variant]`; without one that of this machine. */
export function platformOrHost(text: string | undefined): Platform {
  return text === undefined ? platformOfHost(process.platform, process.arch) : parsePlatform(text);
}
