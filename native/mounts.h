#pragma once
#include <node_api.h>

// Adds the functions of mounts.cc.
napi_status DefineMounts(napi_env env, napi_value exports);
