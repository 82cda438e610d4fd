import { HttpClient } from "#src/net/http-client.js";
import { ANONYMOUS } from "#src/registry/credentials.js";
import { RegistrySource } from "#src/registry/registry-source.js";
import { RegistryTarget } from "#src/registry/registry-target.js";
import { describeImagePlace } from "../conformance/image-place.ts";
import { TestRegistry } from "../support/registry.ts";

describeImagePlace("a registry in memory", async () => {
  const registry = await TestRegistry.start();
  const http = new HttpClient();
  const dependencies = { http, credentials: ANONYMOUS };
  const repository = { registry: registry.host, repository: "some/app" };
  return {
    source: (name) => new RegistrySource(dependencies, { ...repository, ...name }),
    target: (tag) => new RegistryTarget(dependencies, { ...repository, tag }),
    readsByDigest: true,
    sharesBlobs: true,
    leftovers: async () => [],
    [Symbol.asyncDispose]: async () => {
      await http[Symbol.asyncDispose]();
      await registry[Symbol.asyncDispose]();
    },
  };
});
