// SPDX-License-Identifier: Apache-2.0
// tfprune's ops in LiteRT's CompiledModel. That runtime knows a kernel by its name only: all nodes of a name share what
// is here, and everything about a node is read from its tensors. What has been prepared is kept by the memory of the
// node's constants, as long as any compiled model has one of the ops.
#include <pthread.h>
#include <string.h>

#include "tflite_ops/base/crc32.h"
#include "tflite_ops/base/memory.h"
#include "tflite_ops/base/thread_pool.h"
#include "tflite_ops/compiled_model/litert_api.h"
#include "tflite_ops/compiled_model/one_node.h"
#include "tflite_ops/compiled_model/output_layout.h"
#include "tflite_ops/include/tfprune.h"
#include "tflite_ops/ops/plain_text.h"
#include "tflite_ops/ops/process_state.h"
#include "tflite_ops/ops/sparse_op.h"

namespace tfprune {
namespace {

struct Kind {
  const char* name;
  Status (*output_layout)(const LiteRtLayout* inputs, LiteRtLayout* output);
};

// The runtime takes no files with variable tensors, which an LSTM has.
constexpr Kind kKinds[] = {
    {"TfpruneConv2D", ConvOutputLayout},
    {"TfpruneFullyConnected", FullyConnectedOutputLayout},
};
constexpr size_t kLeastInputs = 3, kMostInputs = 4;
static_assert(kMostInputs == kMostNodeInputs, "inputs with a bias");

// A node that is prepared.
struct Prepared {
  OneNode node;
  const Kind* kind = nullptr;
  int count = 0;
  TensorView inputs[kMostNodeInputs] = {};
  uint32_t crc = 0;       // of the constants
  uint32_t compiled = 0;  // models that had been compiled when the constants were last looked at
  bool busy = false;
  Prepared* next = nullptr;
};

pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
// All of it guarded by the mutex.
LiteRtApi api;
SharedState* state = nullptr;
Prepared* prepared = nullptr;
uint32_t nodes = 0, compiled = 0;
int threads = 1;
Status last_error;

class Locked {
 public:
  Locked() { pthread_mutex_lock(&mutex); }
  ~Locked() { pthread_mutex_unlock(&mutex); }
  Locked(const Locked&) = delete;
  Locked& operator=(const Locked&) = delete;
};

// The runtime drops the statuses of kernels, so the sentence is kept.
int Outcome(const char* name, const Status& status, int code) {
  if (status.ok()) return kLiteRtOk;
  const Locked lock;
  last_error = Error("%s: %.200s", name, status.message);
  MakePlain(last_error.message);
  return code;
}

uint32_t CrcOfConstants(const TensorView* inputs, int count) {
  uint32_t crc = 0;
  for (int i = 1; i < count; ++i) crc = crc * 31 + Crc32(inputs[i].data, inputs[i].bytes);
  return crc;
}

bool SameShape(const TensorView& a, const TensorView& b) {
  return a.type == b.type && a.rank == b.rank &&
         memcmp(a.dims, b.dims, sizeof(int32_t) * static_cast<size_t>(a.rank)) == 0;
}

bool IsFor(const Prepared& found, const Kind& kind, const TensorView* inputs, int count) {
  if (found.kind != &kind || found.count != count) return false;
  for (int i = 0; i < count; ++i) {
    if (!SameShape(found.inputs[i], inputs[i]) || (i > 0 && found.inputs[i].data != inputs[i].data)) return false;
  }
  return true;
}

void Forget(Prepared** place) {
  Prepared* gone = *place;
  *place = gone->next;
  Destroy(gone);
}

// One that is at rest, or null. Where a model was compiled since, another one's constants may stand in the same memory.
Prepared* TakePrepared(const Kind& kind, const TensorView* inputs, int count) {
  for (Prepared** place = &prepared; *place != nullptr;) {
    Prepared* each = *place;
    if (!each->busy && IsFor(*each, kind, inputs, count)) {
      if (each->compiled == compiled || each->crc == CrcOfConstants(inputs, count)) {
        each->compiled = compiled;
        each->busy = true;
        return each;
      }
      Forget(place);
      continue;
    }
    place = &each->next;
  }
  return nullptr;
}

Status NewPrepared(const Kind& kind, const TensorView* inputs, int count, Prepared** result) {
  Prepared* made = Create<Prepared>();
  if (made == nullptr) return Error("no memory for an op");
  made->kind = &kind;
  made->count = count;
  made->busy = true;
  for (int i = 0; i < count; ++i) made->inputs[i] = inputs[i];
  int thread_count = 1;
  SharedState* shared = nullptr;
  {
    const Locked lock;
    made->compiled = compiled;
    thread_count = threads;
    shared = state;
  }
  made->crc = CrcOfConstants(inputs, count);
  made->node.Init(kind.name, shared);
  const Status status = made->node.Prepare(inputs, count, thread_count);
  if (!status.ok()) {
    Destroy(made);
    return status;
  }
  const Locked lock;
  made->next = prepared;
  prepared = made;
  *result = made;
  return {};
}

Status RunPrepared(const Kind& kind, const TensorView* inputs, int count, const TensorView& output) {
  Prepared* found = nullptr;
  {
    const Locked lock;
    if (state == nullptr) return Error("no compiled model has this op");
    found = TakePrepared(kind, inputs, count);
  }
  if (found == nullptr) TFPRUNE_RETURN_IF_ERROR(NewPrepared(kind, inputs, count, &found));
  const Status status = found->node.Run(inputs, count, output);
  const Locked lock;
  found->busy = false;
  return status;
}

LiteRtApi KnownLiteRt() {
  const Locked lock;
  return api;
}

// Buffers in memory while this lives.
class Views {
 public:
  explicit Views(const LiteRtApi& api) : api_(api) {}
  Views(const Views&) = delete;
  Views& operator=(const Views&) = delete;
  ~Views() {
    for (int i = 0; i < count_; ++i) api_.unlock(buffers_[i]);
  }

  Status Add(LiteRtTensorBuffer buffer, int mode) {
    TensorView* view = &views_[count_];
    LiteRtTensorType type;
    if (api_.tensor_type(buffer, &type) != kLiteRtOk || type.layout.rank > kMostNodeRank ||
        api_.size(buffer, &view->bytes) != kLiteRtOk) {
      return Error("a tensor buffer has no type");
    }
    view->type = static_cast<TfLiteType>(type.element_type);
    view->rank = static_cast<int>(type.layout.rank);
    memcpy(view->dims, type.layout.dimensions, sizeof(view->dims));
    if (api_.lock(buffer, &view->data, mode) != kLiteRtOk) return Error("a tensor buffer cannot be read by the CPU");
    buffers_[count_++] = buffer;
    return {};
  }

  const TensorView* data() const { return views_; }

 private:
  const LiteRtApi api_;
  TensorView views_[kMostNodeInputs + 1] = {};
  LiteRtTensorBuffer buffers_[kMostNodeInputs + 1] = {};
  int count_ = 0;
};

Status CheckCounts(size_t inputs, size_t outputs) {
  const bool fits = inputs >= kLeastInputs && inputs <= kMostInputs && outputs == 1;
  return fits ? Status{} : Error("an op of %zu inputs and %zu outputs is unknown", inputs, outputs);
}

Status RunBuffers(const Kind& kind, size_t input_count, const LiteRtTensorBuffer* inputs, size_t output_count,
                  LiteRtTensorBuffer* outputs) {
  TFPRUNE_RETURN_IF_ERROR(CheckCounts(input_count, output_count));
  const int count = static_cast<int>(input_count);
  Views views(KnownLiteRt());
  for (int i = 0; i < count; ++i) {
    TFPRUNE_RETURN_IF_ERROR(views.Add(inputs[i], kLiteRtLockRead));
  }
  TFPRUNE_RETURN_IF_ERROR(views.Add(outputs[0], kLiteRtLockWrite));
  return RunPrepared(kind, views.data(), count, views.data()[count]);
}

// The four functions of a LiteRtCustomOpKernel; `user_data` is the Kind.

int InitNode(void* user_data, const void*, size_t) {
  const Kind& kind = *static_cast<const Kind*>(user_data);
  Status status;
  {
    const Locked lock;
    if (state == nullptr) state = EnterProcessState();
    if (state == nullptr) {
      status = Error("no memory");
    } else {
      ++nodes;
      ++compiled;
    }
  }
  return Outcome(kind.name, status, kLiteRtRuntimeFailure);
}

int GetOutputLayouts(void* user_data, size_t input_count, const LiteRtLayout* inputs, size_t output_count,
                     LiteRtLayout* outputs) {
  const Kind& kind = *static_cast<const Kind*>(user_data);
  Status status = CheckCounts(input_count, output_count);
  if (status.ok()) status = kind.output_layout(inputs, &outputs[0]);
  return Outcome(kind.name, status, kLiteRtInvalidArgument);
}

int RunNode(void* user_data, size_t input_count, const LiteRtTensorBuffer* inputs, size_t output_count,
            LiteRtTensorBuffer* outputs) {
  const Kind& kind = *static_cast<const Kind*>(user_data);
  return Outcome(kind.name, RunBuffers(kind, input_count, inputs, output_count, outputs), kLiteRtRuntimeFailure);
}

int DestroyNode(void*) {
  const Locked lock;
  if (nodes == 0 || --nodes > 0) return kLiteRtOk;
  while (prepared != nullptr) Forget(&prepared);
  state = nullptr;
  LeaveProcessState();
  return kLiteRtOk;
}

constexpr LiteRtCustomOpKernel kKernel = {InitNode, GetOutputLayouts, RunNode, DestroyNode};

}  // namespace
}  // namespace tfprune

extern "C" {

int tfprune_add_custom_ops(LiteRtOptions options) {
  tfprune::LiteRtApi found;
  tfprune::Status status;
  if (options == nullptr) status = tfprune::Error("options must be a LiteRtOptions, got null");
  if (status.ok()) status = tfprune::FindLiteRt(&found);
  if (!status.ok()) return tfprune::Outcome("tfprune_add_custom_ops", status, tfprune::kLiteRtInvalidArgument);
  {
    const tfprune::Locked lock;
    tfprune::api = found;
  }
  for (const tfprune::Kind& kind : tfprune::kKinds) {
    const int added = found.add_custom_op(options, kind.name, tfprune::kSparseOpVersion, &tfprune::kKernel,
                                          const_cast<tfprune::Kind*>(&kind));
    if (added == tfprune::kLiteRtOk) continue;
    status = tfprune::Error("LiteRT refused %s with status %d", kind.name, added);
    return tfprune::Outcome("tfprune_add_custom_ops", status, added);
  }
  return tfprune::kLiteRtOk;
}

int tfprune_set_custom_op_threads(int count) {
  const int most = static_cast<int>(tfprune::kMaxThreads);
  if (count < 1 || count > most) {
    const tfprune::Status status = tfprune::Error("count must be from 1 to %d, got %d", most, count);
    return tfprune::Outcome("tfprune_set_custom_op_threads", status, tfprune::kLiteRtInvalidArgument);
  }
  const tfprune::Locked lock;
  tfprune::threads = count;
  return tfprune::kLiteRtOk;
}

size_t tfprune_last_error(char* buffer, size_t size) {
  const tfprune::Locked lock;
  tfprune::Text text(buffer, size);
  text.Add("%s", tfprune::last_error.message);
  return text.length();
}

void tfprune_clear_error(void) {
  const tfprune::Locked lock;
  tfprune::last_error = {};
}

}  // extern "C"
