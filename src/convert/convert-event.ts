import type { Digest } from "../base/digest.ts";

/**
 * What a conversion tells while it runs. Sizes are bytes. docs/report.md lists all of it.
 *
 * For each image: image-started, its layers, merge-started, verified; then, once, publish-started and the blobs.
 */
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
  | { readonly type: "merge-started"; readonly platform: string }
  | { readonly type: "verified"; readonly blobs: number; readonly paths: number }
  | { readonly type: "publish-started"; readonly blobs: number; readonly size: number }
  | {
      readonly type: "blob-progress";
      readonly digest: Digest;
      /** Bytes that the target took so far; less than before when a write was begun anew. */
      readonly done: number;
      readonly size: number;
    }
  | {
      readonly type: "blob-published";
      readonly digest: Digest;
      readonly size: number;
      readonly isPresent: boolean;
    };
