// System calls that Node.js does not offer. Each function converts its arguments, makes one call, and returns:
// rules in README.md, types in src/native/addon.ts.
#include <errno.h>
#include <fcntl.h>
#include <node_api.h>
#include <poll.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "codecs.h"

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

class MountCall final : public BlockingCall {
 public:
  std::string source, target, type, options;
  unsigned long flags = 0;
  int Run() override {
    return mount(source.c_str(), target.c_str(), type.c_str(), flags, options.c_str()) == 0 ? 0 : errno;
  }
  const char* syscall() const override { return "mount"; }
};

// mount(source, target, type, flags, options): Promise<void>
napi_value Mount(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  auto call = std::make_unique<MountCall>();
  int64_t flags = 0;
  // The kernel copies one page of options and would cut the rest off without a word.
  if (!arguments.Path(0, kMaxPath, &call->source) || !arguments.Path(1, kMaxPath, &call->target) ||
      !arguments.Path(2, 64, &call->type) || !arguments.Integer(3, 0, UINT32_MAX, &flags) ||
      !arguments.Path(4, 4095, &call->options)) {
    return nullptr;
  }
  call->flags = static_cast<unsigned long>(flags);
  return BlockingCall::Start(env, std::move(call));
}

class UnmountCall final : public BlockingCall {
 public:
  std::string target;
  int flags = 0;
  int Run() override { return umount2(target.c_str(), flags) == 0 ? 0 : errno; }
  const char* syscall() const override { return "umount2"; }
};

// umount2(target, flags): Promise<void>
napi_value Unmount(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  auto call = std::make_unique<UnmountCall>();
  int64_t flags = 0;
  if (!arguments.Path(0, kMaxPath, &call->target) || !arguments.Integer(1, 0, INT32_MAX, &flags)) return nullptr;
  call->flags = static_cast<int>(flags);
  return BlockingCall::Start(env, std::move(call));
}

class ReceiveCall final : public BlockingCall {
 public:
  int socket = -1, timeout_ms = 0, received = -1;

  ~ReceiveCall() override {
    // Nobody took the descriptor: the environment ended before the promise settled.
    if (received >= 0) close(received);
  }

  int Run() override {
    pollfd ready{socket, POLLIN, 0};
    int count;
    do count = poll(&ready, 1, timeout_ms);
    while (count < 0 && errno == EINTR);
    if (count < 0) return errno;
    if (count == 0) return ETIMEDOUT;
    char byte = 0;
    iovec part{&byte, 1};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    ssize_t length;
    do length = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    while (length < 0 && errno == EINTR);
    if (length < 0) return errno;
    if (length == 0) return ENOTCONN;
    const cmsghdr* header = CMSG_FIRSTHDR(&message);
    if (header == nullptr || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS ||
        header->cmsg_len != CMSG_LEN(sizeof(int))) {
      return EPROTO;
    }
    memcpy(&received, CMSG_DATA(header), sizeof received);
    return 0;
  }
  const char* syscall() const override { return "recvmsg"; }
  napi_value Result(napi_env env) override {
    napi_value value;
    TRY(napi_create_int32(env, received, &value));
    received = -1;
    return value;
  }
};

// receiveFd(socket, timeoutMs): Promise<number>
napi_value ReceiveFd(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  auto call = std::make_unique<ReceiveCall>();
  int64_t socket = 0, timeout = 0;
  if (!arguments.Integer(0, 0, INT32_MAX, &socket) || !arguments.Integer(1, 0, INT32_MAX, &timeout)) return nullptr;
  call->socket = static_cast<int>(socket);
  call->timeout_ms = static_cast<int>(timeout);
  return BlockingCall::Start(env, std::move(call));
}

// socketpair(): [number, number]
napi_value SocketPair(napi_env env, napi_callback_info) {
  int sockets[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0) return ThrowErrno(env, errno, "socketpair");
  napi_value pair;
  TRY(napi_create_array_with_length(env, 2, &pair));
  for (uint32_t index = 0; index < 2; index++) {
    napi_value number;
    TRY(napi_create_int32(env, sockets[index], &number));
    TRY(napi_set_element(env, pair, index, number));
  }
  return pair;
}

napi_value CopyBytes(napi_env env, const std::vector<char>& bytes, size_t length) {
  napi_value buffer;
  TRY(napi_create_buffer_copy(env, length, bytes.data(), nullptr, &buffer));
  return buffer;
}

// lgetxattr(path, name): Buffer
napi_value LGetXattr(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  std::string path, name;
  if (!arguments.Path(0, kMaxPath, &path) || !arguments.Path(1, 256, &name)) return nullptr;
  std::vector<char> value(kMaxXattr);
  const ssize_t length = lgetxattr(path.c_str(), name.c_str(), value.data(), value.size());
  if (length < 0) return ThrowErrno(env, errno, "lgetxattr");
  return CopyBytes(env, value, static_cast<size_t>(length));
}

// llistxattr(path): Buffer, names each ended by a zero byte
napi_value LListXattr(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  std::string path;
  if (!arguments.Path(0, kMaxPath, &path)) return nullptr;
  std::vector<char> names(kMaxXattr);
  const ssize_t length = llistxattr(path.c_str(), names.data(), names.size());
  if (length < 0) return ThrowErrno(env, errno, "llistxattr");
  return CopyBytes(env, names, static_cast<size_t>(length));
}

// lsetxattr(path, name, value): void
napi_value LSetXattr(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  std::string path, name, value;
  if (!arguments.Path(0, kMaxPath, &path) || !arguments.Path(1, 256, &name) ||
      !arguments.Bytes(2, kMaxXattr, &value)) {
    return nullptr;
  }
  if (lsetxattr(path.c_str(), name.c_str(), value.data(), value.size(), 0) != 0) {
    return ThrowErrno(env, errno, "lsetxattr");
  }
  return Undefined(env);
}

// lutimens(path, atimeSeconds, atimeNanoseconds, mtimeSeconds, mtimeNanoseconds): void
napi_value LUtimens(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  std::string path;
  if (!arguments.Path(0, kMaxPath, &path)) return nullptr;
  constexpr int64_t kMaxSeconds = int64_t{1} << 53;
  timespec times[2];
  for (int index = 0; index < 2; index++) {
    int64_t seconds = 0, nanoseconds = 0;
    if (!arguments.Integer(1 + 2 * index, -kMaxSeconds, kMaxSeconds, &seconds) ||
        !arguments.Integer(2 + 2 * index, 0, 999999999, &nanoseconds)) {
      return nullptr;
    }
    times[index].tv_sec = static_cast<time_t>(seconds);
    times[index].tv_nsec = static_cast<long>(nanoseconds);
  }
  if (utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0) return ThrowErrno(env, errno, "utimensat");
  return Undefined(env);
}

// mknod(path, mode, major, minor): void
napi_value MakeNode(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  std::string path;
  int64_t mode = 0, major_number = 0, minor_number = 0;
  if (!arguments.Path(0, kMaxPath, &path) || !arguments.Integer(1, 0, 0177777, &mode) ||
      !arguments.Integer(2, 0, UINT32_MAX, &major_number) || !arguments.Integer(3, 0, UINT32_MAX, &minor_number)) {
    return nullptr;
  }
  const dev_t device = makedev(static_cast<unsigned>(major_number), static_cast<unsigned>(minor_number));
  if (mknod(path.c_str(), static_cast<mode_t>(mode), device) != 0) return ThrowErrno(env, errno, "mknod");
  return Undefined(env);
}

}  // namespace

NAPI_MODULE_INIT() {
  const napi_property_descriptor functions[] = {
#define FUNCTION(name, callback) {name, nullptr, callback, nullptr, nullptr, nullptr, napi_enumerable, nullptr}
      FUNCTION("mount", Mount),           FUNCTION("umount2", Unmount),
      FUNCTION("receiveFd", ReceiveFd),   FUNCTION("socketpair", SocketPair),
      FUNCTION("lgetxattr", LGetXattr),   FUNCTION("llistxattr", LListXattr),
      FUNCTION("lsetxattr", LSetXattr),   FUNCTION("lutimens", LUtimens),
      FUNCTION("mknod", MakeNode),
#undef FUNCTION
  };
  TRY(napi_define_properties(env, exports, sizeof functions / sizeof *functions, functions));
  TRY(DefineIsal(env, exports));
  TRY(DefineLz4(env, exports));
  return exports;
}
