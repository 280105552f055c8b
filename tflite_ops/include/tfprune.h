/* SPDX-License-Identifier: Apache-2.0
   What libtfprune.so offers to C and C++: tfprune's ops for TFLite interpreters, as a delegate, and for LiteRT's
   CompiledModel, as custom ops. Nothing of either runtime is linked; the program brings its own. */
#ifndef TFPRUNE_INCLUDE_TFPRUNE_H_
#define TFPRUNE_INCLUDE_TFPRUNE_H_

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define TFPRUNE_API __attribute__((visibility("default")))
#else
#define TFPRUNE_API
#endif

/* The runtimes' own types, from their own headers where those are included too. */
struct TfLiteDelegate;
struct TfLiteRegistration;
typedef struct LiteRtOptionsT* LiteRtOptions;

/* Makes the delegate. Options are pairs of names and values, such as "backend" and "gpu": docs/runtime.md lists them.
   Null on an error, after `report_error`, which may be null, was called with one sentence. Destroy it after the
   interpreters that use it. */
TFPRUNE_API struct TfLiteDelegate* tflite_plugin_create_delegate(const char* const* names, const char* const* values,
                                                                 size_t count, void (*report_error)(const char*));
TFPRUNE_API void tflite_plugin_destroy_delegate(struct TfLiteDelegate* delegate);

/* What a delegate's layers are and where operators run: lines of fields with tabs between, as docs/runtime.md lists
   them. Each writes as snprintf does: at most `size` bytes with the closing zero, and returns the length of the whole
   text. Without a delegate that is empty. */
TFPRUNE_API size_t tfprune_describe(struct TfLiteDelegate* delegate, char* buffer, size_t size);
TFPRUNE_API size_t tfprune_placement(struct TfLiteDelegate* delegate, char* buffer, size_t size);

/* The op of a name, "TfpruneConv2D", "TfpruneFullyConnected" or "TfpruneLSTM", for interpreters that are made with ops
   and without the delegate: MutableOpResolver::AddCustom, TfLiteInterpreterOptionsAddCustomOp. Null for another name;
   lives as long as the library. Version 1. The delegate runs neighbouring layers as one where that is faster, these do
   not. */
TFPRUNE_API const struct TfLiteRegistration* tfprune_registration(const char* name);

/* Adds tfprune's ops to the options of a LiteRtCompiledModel, before LiteRtCreateCompiledModel. libLiteRt.so must be
   loaded. Returns a LiteRtStatus, 0 on success; tfprune_last_error has the reason otherwise. */
TFPRUNE_API int tfprune_add_custom_ops(LiteRtOptions options);

/* Threads of the ops that tfprune_add_custom_ops added, from 1 (the default) to 64; counts for models that run for
   the first time from now on. Returns a LiteRtStatus: with another number nothing changes, and tfprune_last_error has
   the reason. A delegate's threads are its interpreter's, or those of its option "threads". */
TFPRUNE_API int tfprune_set_custom_op_threads(int count);

/* The last error of those ops, as snprintf writes it: at most `size` bytes with the closing zero; returns the length
   of the whole text, 0 where there was none. LiteRT ignores the status of a custom op: a run that fails leaves its
   output as it was and is told here alone. tfprune_clear_error forgets it. */
TFPRUNE_API size_t tfprune_last_error(char* buffer, size_t size);
TFPRUNE_API void tfprune_clear_error(void);

/* Version of the library, such as "0.1.0". */
TFPRUNE_API const char* tfprune_version(void);

/* Name of the instruction set that kernels use on this machine, such as "avx512_vnni" or "neon_dotprod". */
TFPRUNE_API const char* tfprune_detected_arch(void);

/* Name of the kernel that ran last in this process, "" before the first run. */
TFPRUNE_API const char* tfprune_last_kernel(void);

#ifdef __cplusplus
}
#endif

#endif /* TFPRUNE_INCLUDE_TFPRUNE_H_ */
