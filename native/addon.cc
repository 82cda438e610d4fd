// System calls that Node.js does not offer. Each function converts its arguments, makes one call, and returns:
// rules in README.md, types in src/native/addon.ts.
#include <errno.h>
#include <fcntl.h>
#include <node_api.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "calls.h"
#include "codecs.h"
#include "mounts.h"
#include "processes.h"

namespace {

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
      FUNCTION("receiveFd", ReceiveFd),   FUNCTION("socketpair", SocketPair),
      FUNCTION("lgetxattr", LGetXattr),   FUNCTION("llistxattr", LListXattr),
      FUNCTION("lsetxattr", LSetXattr),   FUNCTION("lutimens", LUtimens),
      FUNCTION("mknod", MakeNode),
#undef FUNCTION
  };
  TRY(napi_define_properties(env, exports, sizeof functions / sizeof *functions, functions));
  TRY(DefineMounts(env, exports));
  TRY(DefineProcesses(env, exports));
  TRY(DefineIsal(env, exports));
  TRY(DefineLz4(env, exports));
  return exports;
}
