declare module "s3rver" {
  import type { AddressInfo } from "node:net";

  /** What the tests use of the package, which brings no types. */
  // biome-ignore lint/style/noDefaultExport: so it is in the package
  export default class S3rver {
    constructor(options: {
      readonly port: number;
      readonly address: string;
      readonly silent: boolean;
      readonly directory: string;
      readonly configureBuckets: readonly { readonly name: string }[];
    });
    run(): Promise<AddressInfo>;
    close(): Promise<void>;
  }
}
