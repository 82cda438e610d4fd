import { type CodecVersions, codecVersions } from "../codec/versions.ts";
import { addonStatus } from "../native/addon.ts";

/** What a bug report should say about the machine's side of this program. */
export interface Versions {
  readonly node: string;
  /** `linux-x64`. */
  readonly platform: string;
  /** File of the native addon, or why there is none. */
  readonly addon: string;
  readonly codecs: CodecVersions;
}

/** What this program runs on and which codecs it uses. */
export function versions(): Versions {
  const { file, reason } = addonStatus();
  return {
    node: process.version,
    platform: `${process.platform}-${process.arch}`,
    addon: file ?? `none: ${reason}`,
    codecs: codecVersions(),
  };
}
