#pragma once
#include <node_api.h>

// A failed Node-API call leaves an exception or a bug; either way the function answers with nothing.
#define TRY(call)                          \
  do {                                     \
    if ((call) != napi_ok) return nullptr; \
  } while (0)
