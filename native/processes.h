#pragma once

#include <node_api.h>

// Adds the functions of processes.cc to the addon's exports.
napi_status DefineProcesses(napi_env env, napi_value exports);
