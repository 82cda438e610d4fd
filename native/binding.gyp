{
  "targets": [
    {
      "target_name": "addon",
      "sources": ["addon.cc", "mounts.cc", "processes.cc"],
      "cflags_cc": ["-std=c++17", "-Wall", "-Wextra", "-fno-exceptions", "-fvisibility=hidden"],
      "defines": ["NAPI_VERSION=8", "_FILE_OFFSET_BITS=64"],
      "conditions": [["OS!='linux'", { "type": "none" }]]
    }
  ]
}
