/** Bytes of a manifest or index that is still read. Registries commonly cap it at 4 MiB. */
export const MAX_MANIFEST_SIZE = 4 * 2 ** 20;
/** Bytes of an image configuration or any other JSON document of an image that is still read. */
export const MAX_DOCUMENT_SIZE = 8 * 2 ** 20;
/** Brackets of JSON that may be open at once. Real documents stay under 10. */
export const MAX_JSON_DEPTH = 64;
/** Layers of one manifest. Overlay mounts stop at 127 to 500; converted images are one mount. */
export const MAX_LAYERS = 2048;
/** Manifests of one index. */
export const MAX_INDEX_MANIFESTS = 4096;
/** History rows of one image configuration. */
export const MAX_HISTORY = 8192;
/** Annotations of one descriptor, manifest or index. */
export const MAX_ANNOTATIONS = 1024;
/** Characters of one annotation's key or value. `nydus-reference-blob-ids` lists many digests. */
export const MAX_ANNOTATION_LENGTH = 2 ** 20;
/** Characters of a media type: RFC 6838 allows 127 on each side of the slash. */
export const MAX_MEDIA_TYPE_LENGTH = 255;
/** URLs of one foreign layer. */
export const MAX_URLS = 64;
/** Characters of one URL. */
export const MAX_URL_LENGTH = 8192;
/** Characters of a repository name with its registry, as docker limits it. */
export const MAX_REPOSITORY_LENGTH = 255;
/** Characters of an image name as a user writes it. */
export const MAX_IMAGE_NAME_LENGTH = 4096;
