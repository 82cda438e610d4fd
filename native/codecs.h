// What isal.cc and lz4.cc share.
#pragma once
#include <node_api.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "try.h"

// Memory of a Uint8Array of less than 2 GiB, which stays JavaScript's. Throws a TypeError and returns false for
// anything else.
bool GetBytes(napi_env env, napi_value value, uint8_t** bytes, size_t* length);

// Name of the file that a function comes from; it ends in the library's version.
std::string FileOf(void* function);

// Add the functions of isal.cc (none when it was built without that library's headers) and of lz4.cc.
napi_status DefineIsal(napi_env env, napi_value exports);
napi_status DefineLz4(napi_env env, napi_value exports);
