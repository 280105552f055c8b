// SPDX-License-Identifier: Apache-2.0
// The external delegate: claims tfprune's custom ops, one delegate kernel each, and leaves the rest to the interpreter.
#include "tflite_ops/delegate/delegate.h"

#include <pthread.h>
#include <string.h>

#include "tensorflow/lite/core/c/common.h"
#include "tflite_ops/base/memory.h"
#include "tflite_ops/base/version.h"
#include "tflite_ops/delegate/claim.h"
#include "tflite_ops/delegate/gpu_claim.h"
#include "tflite_ops/delegate/options.h"
#include "tflite_ops/delegate/partition.h"
#include "tflite_ops/ops/chain_op.h"
#include "tflite_ops/ops/lstm_op.h"
#include "tflite_ops/ops/plain_text.h"
#include "tflite_ops/ops/shared_state.h"
#include "tflite_ops/ops/sparse_op.h"

namespace tfprune {
namespace {

enum class SingleOp { kNone, kSparse, kLstm };

SingleOp SingleOpOf(TfLiteContext* context, int index) {
  TfLiteNode* node = nullptr;
  TfLiteRegistration* registration = nullptr;
  if (context->GetNodeAndRegistration(context, index, &node, &registration) != kTfLiteOk) return SingleOp::kNone;
  if (IsTfpruneLstm(registration->custom_name)) return SingleOp::kLstm;
  return IsTfpruneOp(registration->custom_name) ? SingleOp::kSparse : SingleOp::kNone;
}

// Claiming changes the execution plan, so everything is found first. What goes to the GPU is claimed before: the rest
// of the graph is what the CPU plans for.
TfLiteStatus PrepareDelegate(TfLiteContext* context, TfLiteDelegate* delegate) {
  SharedState* const state = static_cast<SharedState*>(delegate->data_);
  if (ClaimForGpu(context, delegate) != kTfLiteOk) return kTfLiteError;
  TfLiteIntArray* plan = nullptr;
  Partition partition;
  AlignedArray<int> room, singles;
  if (context->GetExecutionPlan(context, &plan) != kTfLiteOk || !singles.Reserve(static_cast<size_t>(plan->size) + 1)) {
    return kTfLiteError;
  }
  if (state->chains() && !FindChains(context, *plan, &partition)) return kTfLiteError;
  uint32_t single_count = 0, chain = 0;
  for (uint32_t i = 0; i < static_cast<uint32_t>(plan->size); ++i) {
    if (chain < partition.chain_count && i == partition.chains[chain].first) {
      i += partition.chains[chain++].count - 1;
    } else if (SingleOpOf(context, plan->data[i]) != SingleOp::kNone) {
      singles[single_count++] = plan->data[i];
    }
  }
  for (uint32_t i = 0; i < partition.chain_count; ++i) {
    const NodeRun& run = partition.chains[i];
    const TfLiteStatus status =
        Claim(context, delegate, partition.nodes.data() + run.first, run.count, ChainOpRegistration(), &room);
    if (status != kTfLiteOk) return status;
  }
  for (uint32_t i = 0; i < single_count; ++i) {
    const bool lstm = SingleOpOf(context, singles[i]) == SingleOp::kLstm;
    const TfLiteRegistration registration = lstm ? LstmOpRegistration() : SparseOpRegistration();
    const TfLiteStatus status = Claim(context, delegate, &singles[i], 1, registration, &room);
    if (status != kTfLiteOk) return status;
  }
  return kTfLiteOk;
}

// Of the ops that interpreters find by name, without a delegate.
TfLiteRegistration named[3];

void MakeNamed() {
  named[0] = NamedSparseOpRegistration("TfpruneConv2D");
  named[1] = NamedSparseOpRegistration("TfpruneFullyConnected");
  named[2] = NamedLstmOpRegistration();
}

// An interpreter that outlives its delegate still looks at it when a shape changes. So what it looks at is never freed:
// destroyed delegates refuse other graphs, and serve again as the next ones.
struct Reusable {
  TfLiteDelegate delegate;  // first, so that its address is the Reusable's
  Reusable* next;
};
pthread_mutex_t reusable_mutex = PTHREAD_MUTEX_INITIALIZER;
Reusable* reusable = nullptr;  // guarded by reusable_mutex

TfLiteStatus PrepareDestroyed(TfLiteContext* context, TfLiteDelegate*) {
  context->ReportError(context, "tfprune delegate: it was closed before its interpreter; close it after");
  return kTfLiteError;
}

TfLiteDelegate* TakeDelegate() {
  pthread_mutex_lock(&reusable_mutex);
  Reusable* taken = reusable;
  if (taken != nullptr) reusable = taken->next;
  pthread_mutex_unlock(&reusable_mutex);
  if (taken == nullptr) taken = Create<Reusable>();
  return taken == nullptr ? nullptr : &taken->delegate;
}

void GiveBackDelegate(TfLiteDelegate* delegate) {
  Reusable* const given = reinterpret_cast<Reusable*>(delegate);
  delegate->Prepare = PrepareDestroyed;
  delegate->data_ = nullptr;
  pthread_mutex_lock(&reusable_mutex);
  given->next = reusable;
  reusable = given;
  pthread_mutex_unlock(&reusable_mutex);
}

// With backend=auto, a machine without a GPU is noted and no error.
Status OpenGpu(const Options& options, SharedState* state) {
  if (options.gpu.backend == Backend::kCpu) return {};
  const Status status = state->OpenGpu(options.gpu);
  if (status.ok()) {
    state->placement()->SetDevice(state->gpu()->facts());
    return {};
  }
  if (options.gpu.backend == Backend::kGpu) {
    return Error("tfprune delegate: backend=gpu: %.160s; install a driver, or choose backend=auto", status.message);
  }
  state->placement()->SetProblem(status.message);
  return {};
}

// Null where memory is short or the GPU is missing.
SharedState* NewState(const Options& options, Status* status) {
  SharedState* const state =
      SharedState::New(options.arch, options.chains, options.profile, options.precision, options.tune_cache);
  if (state == nullptr) {
    *status = Error("tfprune delegate: no memory");
    return nullptr;
  }
  state->set_threads(options.threads);
  *status = OpenGpu(options, state);
  if (status->ok()) return state;
  Destroy(state);
  return nullptr;
}

}  // namespace

TfLiteDelegate* NewDelegate(const char* const* keys, const char* const* values, size_t count, Status* status) {
  Options options;
  *status = ParseOptions(keys, values, count, &options);
  SharedState* const state = status->ok() ? NewState(options, status) : nullptr;
  TfLiteDelegate* const delegate = state != nullptr ? TakeDelegate() : nullptr;
  if (delegate == nullptr) {
    if (status->ok()) *status = Error("tfprune delegate: no memory");
    Destroy(state);
    MakePlain(status->message);  // it quotes names and values
    return nullptr;
  }
  *delegate = {};
  delegate->data_ = state;
  delegate->Prepare = PrepareDelegate;
  // Without this flag the interpreter prepares every op before it delegates, and stops at the custom ops.
  delegate->flags = kTfLiteDelegateFlagsAllowDynamicTensors;
  return delegate;
}

}  // namespace tfprune

extern "C" {

__attribute__((visibility("default"))) TfLiteDelegate* tflite_plugin_create_delegate(
    const char* const* keys, const char* const* values, size_t count, void (*report_error)(const char*)) {
  tfprune::Status status;
  TfLiteDelegate* const delegate = tfprune::NewDelegate(keys, values, count, &status);
  if (delegate == nullptr && report_error != nullptr) report_error(status.message);
  return delegate;
}

__attribute__((visibility("default"))) void tflite_plugin_destroy_delegate(TfLiteDelegate* delegate) {
  if (delegate == nullptr) return;
  static_cast<tfprune::SharedState*>(delegate->data_)->Release();
  tfprune::GiveBackDelegate(delegate);
}

__attribute__((visibility("default"))) size_t tfprune_describe(TfLiteDelegate* delegate, char* buffer, size_t size) {
  tfprune::Text text(buffer, size);
  if (delegate == nullptr) return 0;
  static_cast<tfprune::SharedState*>(delegate->data_)->Describe(&text);
  return text.length();
}

__attribute__((visibility("default"))) size_t tfprune_placement(TfLiteDelegate* delegate, char* buffer, size_t size) {
  tfprune::Text text(buffer, size);
  if (delegate == nullptr) return 0;
  static_cast<tfprune::SharedState*>(delegate->data_)->placement()->Describe(&text);
  return text.length();
}

__attribute__((visibility("default"))) const TfLiteRegistration* tfprune_registration(const char* name) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, tfprune::MakeNamed);
  for (const TfLiteRegistration& each : tfprune::named) {
    if (name != nullptr && strcmp(name, each.custom_name) == 0) return &each;
  }
  return nullptr;
}

__attribute__((visibility("default"))) const char* tfprune_version(void) { return TFPRUNE_VERSION; }

__attribute__((visibility("default"))) const char* tfprune_detected_arch(void) {
  return tfprune::ArchName(tfprune::DetectedArch());
}

__attribute__((visibility("default"))) const char* tfprune_last_kernel(void) { return tfprune::LastKernelName(); }

}  // extern "C"
