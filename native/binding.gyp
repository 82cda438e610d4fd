{
  "targets": [
    {
      "target_name": "addon",
      "sources": ["addon.cc", "mounts.cc", "processes.cc", "codecs.cc", "isal.cc", "lz4.cc"],
      "cflags_cc": ["-std=c++17", "-Wall", "-Wextra", "-fno-exceptions", "-fvisibility=hidden"],
      "libraries": ["-ldl"],
      "defines": ["NAPI_VERSION=8", "_FILE_OFFSET_BITS=64"],
      "conditions": [["OS!='linux'", { "type": "none" }]]
    }
  ]
}
