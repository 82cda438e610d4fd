#include "codecs.h"

#include <dlfcn.h>

#include <cstdlib>

bool GetBytes(napi_env env, napi_value value, uint8_t** bytes, size_t* length) {
  napi_typedarray_type type;
  void* start = nullptr;
  if (napi_get_typedarray_info(env, value, &type, length, &start, nullptr, nullptr) != napi_ok ||
      type != napi_uint8_array || *length > INT32_MAX) {
    napi_throw_type_error(env, nullptr, "bytes must be a Uint8Array of less than 2 GiB");
    return false;
  }
  *bytes = static_cast<uint8_t*>(start);
  return true;
}

std::string FileOf(void* function) {
  Dl_info place;
  if (dladdr(function, &place) == 0) return "";
  char* path = realpath(place.dli_fname, nullptr);
  std::string file = path == nullptr ? place.dli_fname : path;
  free(path);
  return file.substr(file.rfind('/') + 1);
}
