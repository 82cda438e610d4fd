// What every function of the addon needs: arguments, errors, calls off the JavaScript thread. Rules in README.md.
#pragma once
#include <errno.h>
#include <node_api.h>
#include <string.h>

#include <memory>
#include <string>
#include <vector>

#include "try.h"

namespace {

constexpr size_t kMaxPath = 4096;
constexpr size_t kMaxXattr = 65536;

const char* ErrnoName(int number) {
  switch (number) {
#define NAME(code) \
  case code:       \
    return #code;
    NAME(E2BIG) NAME(EACCES) NAME(EAGAIN) NAME(EBADF) NAME(EBUSY) NAME(ECONNRESET) NAME(EEXIST)
    NAME(EFAULT) NAME(EFBIG) NAME(EINTR) NAME(EINVAL) NAME(EIO) NAME(EISDIR) NAME(ELOOP) NAME(EMFILE)
    NAME(EMLINK) NAME(ENAMETOOLONG) NAME(ENFILE) NAME(ENODATA) NAME(ENODEV) NAME(ENOENT) NAME(ENOMEM)
    NAME(ENOSPC) NAME(ENOSYS) NAME(ENOTBLK) NAME(ENOTCONN) NAME(ENOTDIR) NAME(ENOTSUP) NAME(ENXIO)
    NAME(EPERM) NAME(EPROTO) NAME(ERANGE) NAME(EROFS) NAME(ESTALE) NAME(ETIMEDOUT) NAME(EUCLEAN) NAME(EXDEV)
#undef NAME
    default:
      return "EUNKNOWN";
  }
}

// An Error with `code`, `errno` (negative, as Node's own) and `syscall`.
napi_value MakeError(napi_env env, int number, const char* syscall) {
  const std::string code = ErrnoName(number);
  const std::string text = code + ": " + strerror(number) + ", " + syscall;
  napi_value code_value, message, error, errno_value, syscall_value;
  TRY(napi_create_string_utf8(env, code.data(), code.size(), &code_value));
  TRY(napi_create_string_utf8(env, text.data(), text.size(), &message));
  TRY(napi_create_error(env, code_value, message, &error));
  TRY(napi_create_int32(env, -number, &errno_value));
  TRY(napi_create_string_utf8(env, syscall, NAPI_AUTO_LENGTH, &syscall_value));
  TRY(napi_set_named_property(env, error, "errno", errno_value));
  TRY(napi_set_named_property(env, error, "syscall", syscall_value));
  return error;
}

napi_value ThrowErrno(napi_env env, int number, const char* syscall) {
  napi_value error = MakeError(env, number, syscall);
  if (error != nullptr) napi_throw(env, error);
  return nullptr;
}

napi_value Undefined(napi_env env) {
  napi_value value = nullptr;
  napi_get_undefined(env, &value);
  return value;
}

// The arguments of one call. A getter that fails throws a TypeError and returns false.
class Arguments {
 public:
  Arguments(napi_env env, napi_callback_info call) : env_(env) {
    napi_get_cb_info(env, call, &count_, values_, nullptr, nullptr);
  }

  // Bytes of a Uint8Array, without NUL, at most `limit`.
  bool Path(size_t index, size_t limit, std::string* out) {
    if (!Bytes(index, limit, out)) return false;
    if (out->find('\0') == std::string::npos) return true;
    return Refuse(index, "must not hold a zero byte");
  }

  bool Bytes(size_t index, size_t limit, std::string* out) {
    bool is_array = false;
    if (index < count_) napi_is_typedarray(env_, values_[index], &is_array);
    if (!is_array) return Refuse(index, "must be a Uint8Array");
    napi_typedarray_type type;
    size_t length = 0;
    void* bytes = nullptr;
    if (napi_get_typedarray_info(env_, values_[index], &type, &length, &bytes, nullptr, nullptr) != napi_ok ||
        type != napi_uint8_array) {
      return Refuse(index, "must be a Uint8Array");
    }
    if (length > limit) return Refuse(index, "is too long");
    out->assign(static_cast<const char*>(bytes), length);
    return true;
  }

  // An integer that a double holds exactly.
  bool Integer(size_t index, int64_t minimum, int64_t maximum, int64_t* out) {
    double value = 0;
    if (index >= count_ || napi_get_value_double(env_, values_[index], &value) != napi_ok) {
      return Refuse(index, "must be a number");
    }
    if (!(value >= static_cast<double>(minimum) && value <= static_cast<double>(maximum))) {
      return Refuse(index, "is out of range");
    }
    *out = static_cast<int64_t>(value);
    return static_cast<double>(*out) == value || Refuse(index, "must be an integer");
  }

 private:
  bool Refuse(size_t index, const char* what) {
    const std::string text = "argument " + std::to_string(index) + " " + what;
    napi_throw_type_error(env_, nullptr, text.c_str());
    return false;
  }

  napi_env env_;
  size_t count_ = 5;
  napi_value values_[5] = {};
};

// A call that may block: Run() is on a thread of libuv's pool and touches no JavaScript; the promise
// settles on the JavaScript thread. The object owns copies of all arguments.
class BlockingCall {
 public:
  virtual ~BlockingCall() = default;
  // Returns an errno, 0 for success.
  virtual int Run() = 0;
  virtual const char* syscall() const = 0;
  virtual napi_value Result(napi_env env) { return Undefined(env); }

  static napi_value Start(napi_env env, std::unique_ptr<BlockingCall> call) {
    napi_value promise, name;
    TRY(napi_create_promise(env, &call->deferred_, &promise));
    TRY(napi_create_string_utf8(env, call->syscall(), NAPI_AUTO_LENGTH, &name));
    TRY(napi_create_async_work(env, nullptr, name, Execute, Complete, call.get(), &call->work_));
    TRY(napi_queue_async_work(env, call->work_));
    call.release();  // Complete() takes it back.
    return promise;
  }

 private:
  static void Execute(napi_env, void* self) {
    auto* call = static_cast<BlockingCall*>(self);
    call->error_ = call->Run();
  }

  static void Complete(napi_env env, napi_status, void* self) {
    std::unique_ptr<BlockingCall> call(static_cast<BlockingCall*>(self));
    if (call->error_ == 0) {
      napi_resolve_deferred(env, call->deferred_, call->Result(env));
    } else {
      napi_reject_deferred(env, call->deferred_, MakeError(env, call->error_, call->syscall()));
    }
    napi_delete_async_work(env, call->work_);
  }

  napi_deferred deferred_ = nullptr;
  napi_async_work work_ = nullptr;
  int error_ = 0;
};

}  // namespace
