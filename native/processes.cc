// Calls for processes that look after each other; types in src/native/processes.ts.
#include "processes.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <string>

#include "calls.h"

namespace {

constexpr size_t kMaxDatagram = 65536;

// dieWithParent(signal): void
napi_value DieWithParent(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  int64_t signal = 0;
  if (!arguments.Integer(0, 1, 64, &signal)) return nullptr;
  if (prctl(PR_SET_PDEATHSIG, static_cast<unsigned long>(signal)) != 0) return ThrowErrno(env, errno, "prctl");
  return Undefined(env);
}

// sendDatagram(address, bytes, fd): void
napi_value SendDatagram(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  std::string path, bytes;
  int64_t passed = -1;
  sockaddr_un address = {};
  if (!arguments.Bytes(0, sizeof address.sun_path, &path) || !arguments.Bytes(1, kMaxDatagram, &bytes) ||
      !arguments.Integer(2, -1, INT32_MAX, &passed)) {
    return nullptr;
  }
  address.sun_family = AF_UNIX;
  memcpy(address.sun_path, path.data(), path.size());
  const socklen_t length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());

  iovec part = {bytes.data(), bytes.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message = {};
  message.msg_name = &address;
  message.msg_namelen = length;
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (passed >= 0) {
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    const int fd = static_cast<int>(passed);
    memcpy(CMSG_DATA(header), &fd, sizeof fd);
  }
  const int sender = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (sender < 0) return ThrowErrno(env, errno, "socket");
  // The receiver's queue is all that can be waited for, and the receiver may be gone.
  const ssize_t sent = sendmsg(sender, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  const int error = errno;
  close(sender);
  if (sent < 0) return ThrowErrno(env, error, "sendmsg");
  return Undefined(env);
}

}  // namespace

napi_status DefineProcesses(napi_env env, napi_value exports) {
  const napi_property_descriptor functions[] = {
      {"dieWithParent", nullptr, DieWithParent, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
      {"sendDatagram", nullptr, SendDatagram, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
  };
  return napi_define_properties(env, exports, sizeof functions / sizeof *functions, functions);
}
