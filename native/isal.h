#pragma once
#include <node_api.h>

// Adds the functions of isal.cc; none where the addon was built without the library's headers.
napi_status DefineIsal(napi_env env, napi_value exports);
