// SPDX-License-Identifier: Apache-2.0
// What io.tfprune.lite.Native calls: passes through to the delegate, and checks nothing that Java has checked.
#include <jni.h>
#include <stdint.h>
#include <string.h>

#include "tflite_ops/base/arch.h"
#include "tflite_ops/base/memory.h"
#include "tflite_ops/delegate/delegate.h"

namespace {

// What one delegate can be told: the library has fewer options than this.
constexpr size_t kMaxOptions = 32;

TfLiteDelegate* DelegateOf(jlong handle) { return reinterpret_cast<TfLiteDelegate*>(static_cast<intptr_t>(handle)); }

jbyteArray ToJava(JNIEnv* env, const char* text, size_t length) {
  jbyteArray array = env->NewByteArray(static_cast<jsize>(length));
  if (array == nullptr) return nullptr;  // and Java has an OutOfMemoryError
  env->SetByteArrayRegion(array, 0, static_cast<jsize>(length), reinterpret_cast<const jbyte*>(text));
  return array;
}

// The text may grow between two calls, by an interpreter on another thread.
jbyteArray WholeText(JNIEnv* env, jlong handle, size_t (*write)(TfLiteDelegate*, char*, size_t)) {
  tfprune::AlignedArray<char> text;
  size_t length = write(DelegateOf(handle), nullptr, 0), room = 0;
  while (length >= room) {
    room = length + 1;
    if (!text.Reserve(room)) return nullptr;
    length = write(DelegateOf(handle), text.data(), room);
  }
  return ToJava(env, text.data(), length);
}

void ToMessage(JNIEnv* env, const char* text, jbyteArray message) {
  const size_t room = static_cast<size_t>(env->GetArrayLength(message)), length = strlen(text);
  const jsize count = static_cast<jsize>(length < room ? length : room);
  env->SetByteArrayRegion(message, 0, count, reinterpret_cast<const jbyte*>(text));
}

}  // namespace

extern "C" {

JNIEXPORT jlong JNICALL Java_io_tfprune_lite_Native_create(JNIEnv* env, jclass, jbyteArray options,
                                                           jbyteArray message) {
  const size_t length = static_cast<size_t>(env->GetArrayLength(options));
  tfprune::AlignedArray<char> text;
  if (!text.Reserve(length + 1)) {
    ToMessage(env, "tfprune delegate: no memory", message);
    return 0;
  }
  env->GetByteArrayRegion(options, 0, static_cast<jsize>(length), reinterpret_cast<jbyte*>(text.data()));
  const char *keys[kMaxOptions], *values[kMaxOptions];
  size_t count = 0;
  for (const char* next = text.data(); next < text.data() + length && count < kMaxOptions; ++count) {
    keys[count] = next;
    values[count] = next + strlen(next) + 1;
    next = values[count] + strlen(values[count]) + 1;
  }
  tfprune::Status status;
  TfLiteDelegate* const delegate = tfprune::NewDelegate(keys, values, count, &status);
  if (delegate == nullptr) ToMessage(env, status.message, message);
  return static_cast<jlong>(reinterpret_cast<intptr_t>(delegate));
}

JNIEXPORT void JNICALL Java_io_tfprune_lite_Native_destroy(JNIEnv*, jclass, jlong handle) {
  tflite_plugin_destroy_delegate(DelegateOf(handle));
}

JNIEXPORT jbyteArray JNICALL Java_io_tfprune_lite_Native_describe(JNIEnv* env, jclass, jlong handle) {
  return WholeText(env, handle, tfprune_describe);
}

JNIEXPORT jbyteArray JNICALL Java_io_tfprune_lite_Native_placement(JNIEnv* env, jclass, jlong handle) {
  return WholeText(env, handle, tfprune_placement);
}

JNIEXPORT jbyteArray JNICALL Java_io_tfprune_lite_Native_version(JNIEnv* env, jclass) {
  return ToJava(env, tfprune_version(), strlen(tfprune_version()));
}

JNIEXPORT jbyteArray JNICALL Java_io_tfprune_lite_Native_detectedArch(JNIEnv* env, jclass) {
  return ToJava(env, tfprune_detected_arch(), strlen(tfprune_detected_arch()));
}

JNIEXPORT jboolean JNICALL Java_io_tfprune_lite_Native_hasHalfArithmetic(JNIEnv*, jclass) {
  return tfprune::HasHalfArithmetic() ? JNI_TRUE : JNI_FALSE;
}

}  // extern "C"
