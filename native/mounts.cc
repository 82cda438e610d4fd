// System calls around mounts: mount(2) and umount2(2), the newer fsopen(2) family, loop devices, and what the threads
// need that answer FUSE. Rules in README.md, types in src/native/mounts.ts.
#include "mounts.h"

#include <fcntl.h>
#include <linux/loop.h>
#include <linux/mount.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "calls.h"

// Not from <sys/mount.h>, which contradicts <linux/mount.h> in older C libraries.
extern "C" int mount(const char*, const char*, const char*, unsigned long, const void*);
extern "C" int umount2(const char*, int);

namespace {

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (number_ >= 0) close(number_);
  }
  operator int() const { return number_; }
  int Release() {
    const int number = number_;
    number_ = -1;
    return number;
  }

 private:
  int number_;
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

// fsopen(2), fsconfig(2), fsmount(2), move_mount(2): no page limits what is configured, and the kernel says what it
// does not like.
class ConfiguredMountCall final : public BlockingCall {
 public:
  std::string type, options, target;
  unsigned attributes = 0;

  int Run() override {
    const Descriptor context(static_cast<int>(syscall_(SYS_fsopen, type.c_str(), FSOPEN_CLOEXEC)));
    if (context < 0) return Failed("fsopen");
    for (size_t at = 0; at < options.size();) {
      const char* key = options.c_str() + at;
      const char* value = key + strlen(key) + 1;
      at += strlen(key) + 1 + strlen(value) + 1;
      const bool is_flag = *value == '\0';
      const unsigned command = is_flag ? FSCONFIG_SET_FLAG : FSCONFIG_SET_STRING;
      if (syscall_(SYS_fsconfig, static_cast<int>(context), command, key, is_flag ? nullptr : value, 0) < 0) {
        return Explained("fsconfig", context);
      }
    }
    if (syscall_(SYS_fsconfig, static_cast<int>(context), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) < 0) {
      return Explained("fsconfig", context);
    }
    const Descriptor mounted(
        static_cast<int>(syscall_(SYS_fsmount, static_cast<int>(context), FSMOUNT_CLOEXEC, attributes)));
    if (mounted < 0) return Explained("fsmount", context);
    if (syscall_(SYS_move_mount, static_cast<int>(mounted), "", AT_FDCWD, target.c_str(), MOVE_MOUNT_F_EMPTY_PATH) < 0) {
      return Failed("move_mount");
    }
    return 0;
  }
  const char* syscall() const override { return name_.c_str(); }

 private:
  template <typename... Arguments>
  static long syscall_(long number, Arguments... arguments) {
    return ::syscall(number, arguments...);
  }

  int Failed(const char* name) {
    const int number = errno;
    name_ = name;
    return number;
  }

  // Adds the kernel's own words, which it keeps per context, one message for each read(2).
  int Explained(const char* name, int context) {
    const int number = Failed(name);
    char message[256];
    for (int count = 0; count < 8; count++) {
      const ssize_t length = read(context, message, sizeof message);
      if (length <= 0) break;
      name_ += ": ";
      name_.append(message, static_cast<size_t>(length));
      if (name_.back() == '\n') name_.pop_back();
    }
    return number;
  }

  std::string name_ = "fsopen";
};

// mountConfigured(type, options, target, attributes): Promise<void>
napi_value MountConfigured(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  auto call = std::make_unique<ConfiguredMountCall>();
  int64_t attributes = 0;
  constexpr size_t kMaxOptions = size_t{1} << 20;
  if (!arguments.Path(0, 64, &call->type) || !arguments.Bytes(1, kMaxOptions, &call->options) ||
      !arguments.Path(2, kMaxPath, &call->target) || !arguments.Integer(3, 0, UINT32_MAX, &attributes)) {
    return nullptr;
  }
  // Keys and values in turn, each ended by a zero byte: with a value missing the last would run over the end.
  size_t strings = 0;
  for (const char byte : call->options) strings += byte == '\0' ? 1 : 0;
  if (strings % 2 != 0 || (!call->options.empty() && call->options.back() != '\0')) {
    napi_throw_type_error(env, nullptr, "options must be pairs of strings");
    return nullptr;
  }
  call->attributes = static_cast<unsigned>(attributes);
  return BlockingCall::Start(env, std::move(call));
}

class LoopCall final : public BlockingCall {
 public:
  std::string file;

  ~LoopCall() override {
    if (device_ >= 0) close(device_);
  }

  int Run() override {
    const Descriptor control(open("/dev/loop-control", O_RDWR | O_CLOEXEC));
    if (control < 0) return errno;
    const Descriptor backing(open(file.c_str(), O_RDONLY | O_CLOEXEC));
    if (backing < 0) return errno;
    // Between asking for a free device and taking it another process may take it.
    for (int tries = 0; tries < 64; tries++) {
      const int number = ioctl(control, LOOP_CTL_GET_FREE);
      if (number < 0) return errno;
      const std::string path = "/dev/loop" + std::to_string(number);
      Descriptor device(open(path.c_str(), O_RDONLY | O_CLOEXEC));
      if (device < 0) return errno;
      loop_config config{};
      config.fd = static_cast<__u32>(static_cast<int>(backing));
      config.block_size = 4096;
      config.info.lo_flags = LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR | LO_FLAGS_DIRECT_IO;
      if (ioctl(device, LOOP_CONFIGURE, &config) == 0) {
        number_ = number;
        device_ = device.Release();
        return 0;
      }
      if (errno != EBUSY) return errno;
    }
    return EBUSY;
  }
  const char* syscall() const override { return "loop device"; }
  napi_value Result(napi_env env) override {
    napi_value pair, value;
    TRY(napi_create_array_with_length(env, 2, &pair));
    TRY(napi_create_int32(env, number_, &value));
    TRY(napi_set_element(env, pair, 0, value));
    TRY(napi_create_int32(env, device_, &value));
    TRY(napi_set_element(env, pair, 1, value));
    device_ = -1;
    return pair;
  }

 private:
  int number_ = -1, device_ = -1;
};

// attachLoop(file): Promise<[number, fd]>
napi_value AttachLoop(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  auto call = std::make_unique<LoopCall>();
  if (!arguments.Path(0, kMaxPath, &call->file)) return nullptr;
  return BlockingCall::Start(env, std::move(call));
}

// dropCached(fd, offset, length): void
napi_value DropCached(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  constexpr int64_t kMaxOffset = int64_t{1} << 53;
  int64_t fd = 0, offset = 0, length = 0;
  if (!arguments.Integer(0, 0, INT32_MAX, &fd) || !arguments.Integer(1, 0, kMaxOffset, &offset) ||
      !arguments.Integer(2, 0, kMaxOffset, &length)) {
    return nullptr;
  }
  // Advice: what does not want it does not take it.
  posix_fadvise(static_cast<int>(fd), offset, length, POSIX_FADV_DONTNEED);
  return Undefined(env);
}

// Two above what the C library keeps for itself; nobody in Node.js uses real-time signals.
int WakeSignal() { return SIGRTMIN + 2; }

void Ignore(int) {}

// threadId(): number. Also makes the calling process one whose threads wakeThread() may wake.
napi_value ThreadId(napi_env env, napi_callback_info) {
  struct sigaction action {};
  action.sa_handler = Ignore;
  // Without SA_RESTART: the call that the thread waits in ends with EINTR.
  if (sigaction(WakeSignal(), &action, nullptr) != 0) return ThrowErrno(env, errno, "sigaction");
  napi_value value;
  TRY(napi_create_int64(env, syscall(SYS_gettid), &value));
  return value;
}

// wakeThread(threadId): void
napi_value WakeThread(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  int64_t thread = 0;
  if (!arguments.Integer(0, 1, INT32_MAX, &thread)) return nullptr;
  // ESRCH: it has ended.
  if (syscall(SYS_tgkill, getpid(), static_cast<pid_t>(thread), WakeSignal()) != 0 && errno != ESRCH) {
    return ThrowErrno(env, errno, "tgkill");
  }
  return Undefined(env);
}

}  // namespace

napi_status DefineMounts(napi_env env, napi_value exports) {
  const napi_property_descriptor functions[] = {
#define FUNCTION(name, callback) {name, nullptr, callback, nullptr, nullptr, nullptr, napi_enumerable, nullptr}
      FUNCTION("mount", Mount),
      FUNCTION("umount2", Unmount),
      FUNCTION("mountConfigured", MountConfigured),
      FUNCTION("attachLoop", AttachLoop),
      FUNCTION("dropCached", DropCached),
      FUNCTION("threadId", ThreadId),
      FUNCTION("wakeThread", WakeThread),
#undef FUNCTION
  };
  return napi_define_properties(env, exports, sizeof functions / sizeof *functions, functions);
}
