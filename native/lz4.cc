// Decodes LZ4 blocks with liblz4, where the machine has it: rules in README.md, types in src/native/lz4.ts.
#include <dlfcn.h>

#include "codecs.h"

namespace {

// Loaded and not linked, as in isal.cc. This one function needs no header: lz4.h promises never to change it.
struct Lz4 {
  int (*decompress_safe)(const char* source, char* target, int source_length, int target_length) = nullptr;
  std::string file;
};

Lz4 Load() {
  Lz4 lz4;
  void* library = dlopen("liblz4.so.1", RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (library == nullptr) return lz4;
  void* function = dlsym(library, "LZ4_decompress_safe");
  if (function == nullptr) return lz4;
  lz4.decompress_safe = reinterpret_cast<decltype(lz4.decompress_safe)>(function);
  lz4.file = FileOf(function);
  return lz4;
}

// Filled by the first thread that asks (the language makes the others wait), and never written again.
const Lz4& Library() {
  static const Lz4 lz4 = Load();
  return lz4;
}

// lz4Decompress(target, block): number of bytes, negative when the block is damaged or holds more than the target
napi_value Decompress(napi_env env, napi_callback_info info) {
  size_t count = 2, target_length = 0, block_length = 0;
  napi_value arguments[2], result;
  uint8_t *target = nullptr, *block = nullptr;
  TRY(napi_get_cb_info(env, info, &count, arguments, nullptr, nullptr));
  if (Library().decompress_safe == nullptr || !GetBytes(env, arguments[0], &target, &target_length) ||
      !GetBytes(env, arguments[1], &block, &block_length)) {
    return nullptr;
  }
  const int produced =
      Library().decompress_safe(reinterpret_cast<const char*>(block), reinterpret_cast<char*>(target),
                                static_cast<int>(block_length), static_cast<int>(target_length));
  TRY(napi_create_int32(env, produced, &result));
  return result;
}

// lz4File(): string, undefined without the library
napi_value File(napi_env env, napi_callback_info) {
  if (Library().decompress_safe == nullptr) return nullptr;
  napi_value file;
  TRY(napi_create_string_utf8(env, Library().file.data(), Library().file.size(), &file));
  return file;
}

}  // namespace

napi_status DefineLz4(napi_env env, napi_value exports) {
  const napi_property_descriptor functions[] = {
      {"lz4Decompress", nullptr, Decompress, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
      {"lz4File", nullptr, File, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
  };
  return napi_define_properties(env, exports, sizeof functions / sizeof *functions, functions);
}
