// Inflate and CRC-32C by Intel's ISA-L, where the machine has it: rules in README.md, types in src/native/isal.ts.
#include <dlfcn.h>

#include <memory>
#include <type_traits>

#include "codecs.h"

#if __has_include(<isa-l/igzip_lib.h>)
#include <isa-l/crc.h>
#include <isa-l/igzip_lib.h>
#define HAS_ISAL_HEADERS
#endif

#ifdef HAS_ISAL_HEADERS
namespace {

// The library is loaded and not linked: an addon built elsewhere must load on a machine without it. The layout of
// inflate_state is part of the library's interface, which the number in its name stands for.
struct Isal {
  decltype(&isal_inflate_init) inflate_init = nullptr;
  decltype(&isal_inflate_reset) inflate_reset = nullptr;
  decltype(&isal_inflate) inflate = nullptr;
  decltype(&crc32_iscsi) crc32c = nullptr;
  // Name of the library's file, with its version.
  std::string file;

  bool IsLoaded() const { return crc32c != nullptr; }
};

Isal Load() {
  Isal isal;
  // Never unloaded: its functions may run on any thread until the process ends.
  void* library = dlopen("libisal.so.2", RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (library == nullptr) return isal;
  const auto find = [library](auto* function, const char* name) {
    *function = reinterpret_cast<std::remove_pointer_t<decltype(function)>>(dlsym(library, name));
    return *function != nullptr;
  };
  if (!find(&isal.inflate_init, "isal_inflate_init") || !find(&isal.inflate_reset, "isal_inflate_reset") ||
      !find(&isal.inflate, "isal_inflate") || !find(&isal.crc32c, "crc32_iscsi")) {
    return Isal();
  }
  isal.file = FileOf(reinterpret_cast<void*>(isal.inflate));
  return isal;
}

// Filled by the first thread that asks (the language makes the others wait), and never written again.
const Isal& Library() {
  static const Isal isal = Load();
  return isal;
}

const char* InflateFailure(int status) {
  switch (status) {
    case ISAL_INVALID_BLOCK:
      return "invalid deflate block";
    case ISAL_INVALID_SYMBOL:
      return "invalid deflate symbol";
    case ISAL_INVALID_LOOKBACK:
      return "invalid distance";
    case ISAL_INCORRECT_CHECKSUM:
      return "checksum or size does not match";
    default:
      return "invalid deflate stream";
  }
}

// inflaterOpen(): external, undefined without the library
napi_value InflaterOpen(napi_env env, napi_callback_info) {
  if (!Library().IsLoaded()) return nullptr;
  // Owned by the external: its finalizer frees the state when JavaScript has dropped it or the thread ends.
  auto state = std::make_unique<inflate_state>();
  Library().inflate_init(state.get());
  state->crc_flag = ISAL_GZIP_NO_HDR_VER;
  napi_value external;
  TRY(napi_create_external(
      env, state.get(), [](napi_env, void* memory, void*) { delete static_cast<inflate_state*>(memory); }, nullptr,
      &external));
  state.release();
  return external;
}

// inflaterStep(external, target, source): [produced, consumed, isMemberDone]
napi_value InflaterStep(napi_env env, napi_callback_info info) {
  size_t count = 3;
  napi_value arguments[3];
  void* memory = nullptr;
  TRY(napi_get_cb_info(env, info, &count, arguments, nullptr, nullptr));
  if (count < 3 || napi_get_value_external(env, arguments[0], &memory) != napi_ok) {
    napi_throw_type_error(env, nullptr, "an inflater, a target and a source must be given");
    return nullptr;
  }
  uint8_t *target, *source;
  size_t target_length, source_length;
  if (!GetBytes(env, arguments[1], &target, &target_length) ||
      !GetBytes(env, arguments[2], &source, &source_length)) {
    return nullptr;
  }
  // Both buffers are JavaScript's, which is not running; the state keeps what it needs of them in buffers of its own.
  auto* state = static_cast<inflate_state*>(memory);
  state->next_in = source;
  state->avail_in = static_cast<uint32_t>(source_length);
  state->next_out = target;
  state->avail_out = static_cast<uint32_t>(target_length);
  const int status = Library().inflate(state);
  const uint32_t produced = static_cast<uint32_t>(target_length) - state->avail_out;
  const uint32_t consumed = static_cast<uint32_t>(source_length) - state->avail_in;
  const bool is_done = state->block_state == ISAL_BLOCK_FINISH;
  if (status < 0 || status == ISAL_NEED_DICT || is_done) Library().inflate_reset(state);
  state->crc_flag = ISAL_GZIP_NO_HDR_VER;
  if (status < 0 || status == ISAL_NEED_DICT) {
    napi_throw_error(env, nullptr, InflateFailure(status));
    return nullptr;
  }
  napi_value result, values[3];
  TRY(napi_create_uint32(env, produced, &values[0]));
  TRY(napi_create_uint32(env, consumed, &values[1]));
  TRY(napi_get_boolean(env, is_done, &values[2]));
  TRY(napi_create_array_with_length(env, 3, &result));
  for (uint32_t index = 0; index < 3; index++) TRY(napi_set_element(env, result, index, values[index]));
  return result;
}

// crc32c(bytes): number, undefined without the library
napi_value Crc32c(napi_env env, napi_callback_info info) {
  size_t count = 1, length = 0;
  napi_value argument, result;
  uint8_t* bytes = nullptr;
  TRY(napi_get_cb_info(env, info, &count, &argument, nullptr, nullptr));
  if (!Library().IsLoaded() || !GetBytes(env, argument, &bytes, &length)) return nullptr;
  TRY(napi_create_uint32(env, ~Library().crc32c(bytes, static_cast<int>(length), UINT32_MAX), &result));
  return result;
}

// isalFile(): string, undefined without the library
napi_value IsalFile(napi_env env, napi_callback_info) {
  if (!Library().IsLoaded()) return nullptr;
  napi_value file;
  TRY(napi_create_string_utf8(env, Library().file.data(), Library().file.size(), &file));
  return file;
}

}  // namespace
#endif

napi_status DefineIsal(napi_env env, napi_value exports) {
#ifdef HAS_ISAL_HEADERS
  const napi_property_descriptor functions[] = {
#define FUNCTION(name, callback) {name, nullptr, callback, nullptr, nullptr, nullptr, napi_enumerable, nullptr}
      FUNCTION("inflaterOpen", InflaterOpen),
      FUNCTION("inflaterStep", InflaterStep),
      FUNCTION("crc32c", Crc32c),
      FUNCTION("isalFile", IsalFile),
#undef FUNCTION
  };
  return napi_define_properties(env, exports, sizeof functions / sizeof *functions, functions);
#else
  (void)env;
  (void)exports;
  return napi_ok;
#endif
}
