import type { Digest } from "../base/digest.ts";

/** What a conversion tells while it runs. Sizes are bytes. */
export type ConvertEvent =
  | {
      readonly type: "image-started";
      readonly platform: string;
      readonly layers: number;
      readonly size: number;
    }
  | {
      readonly type: "layer-started";
      readonly layer: number;
      readonly digest: Digest | undefined;
      readonly size: number;
    }
  | {
      readonly type: "layer-progress";
      readonly layer: number;
      /** Stored bytes of the layer that were read so far. */
      readonly done: number;
      readonly size: number;
    }
  | {
      readonly type: "layer-converted";
      readonly layer: number;
      readonly sourceSize: number;
      readonly digest: Digest;
      readonly size: number;
      readonly chunks: number;
    }
  | { readonly type: "left-out"; readonly layer: number; readonly path: string; readonly what: string }
  | { readonly type: "prefetch-unmatched"; readonly path: string }
  | { readonly type: "platform-skipped"; readonly platform: string }
  | { readonly type: "verified"; readonly blobs: number; readonly paths: number }
  | {
      readonly type: "blob-published";
      readonly digest: Digest;
      readonly size: number;
      readonly isPresent: boolean;
    };
