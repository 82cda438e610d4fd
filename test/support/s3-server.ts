import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import S3rver from "s3rver";

/** An S3 server on a loopback port, with a bucket in a temporary folder. Its login is S3RVER, S3RVER. */
export class S3Server implements AsyncDisposable {
  readonly endpoint: string;
  readonly bucket = "images";
  readonly #server: S3rver;
  readonly #folder: string;

  private constructor(server: S3rver, folder: string, port: number) {
    this.#server = server;
    this.#folder = folder;
    this.endpoint = `http://127.0.0.1:${port}`;
  }

  static async start(): Promise<S3Server> {
    const folder = mkdtempSync(join(tmpdir(), "nydus-s3-"));
    const server = new S3rver({
      port: 0,
      address: "127.0.0.1",
      silent: true,
      directory: folder,
      configureBuckets: [{ name: "images" }],
    });
    const { port } = await server.run();
    return new S3Server(server, folder, port);
  }

  async put(key: string, bytes: Uint8Array): Promise<void> {
    const { PutObjectCommand, S3Client } = await import("@aws-sdk/client-s3");
    const client = new S3Client({ endpoint: this.endpoint, region: "us-east-1", forcePathStyle: true });
    await client.send(new PutObjectCommand({ Bucket: this.bucket, Key: key, Body: bytes }));
    client.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.close();
    rmSync(this.#folder, { recursive: true });
  }
}
