// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/delegate/partition.h"

#include "tflite_ops/delegate/chain_costs.h"
#include "tflite_ops/ops/float_constants.h"
#include "tflite_ops/ops/planar_node.h"

namespace tfprune {
namespace {

constexpr int64_t kNowhere = -1;

// A node of the execution plan as the partition sees it.
struct Candidate {
  PlanarNode node;
  bool planar = false;
  double values_in = 0, values_out = 0;
  // Of a planar node: the places of the nodes that write its inputs and of the first and last that read its output.
  int64_t writers[2];
  int64_t first_reader, last_reader;
  uint32_t reader_count;
};

struct Graph {
  TfLiteContext* context;
  const int* nodes;
  const Candidate* candidates;
  uint32_t count;
};

double ValuesOf(const TfLiteContext& context, int tensor) {
  const TfLiteIntArray* dims = context.tensors[tensor].dims;
  double values = 1;
  for (int i = 0; dims != nullptr && i < dims->size; ++i) values *= dims->data[i];
  return values;
}

// The nodes that write and read one tensor.
struct Uses {
  uint32_t written = 0;  // place of the writer, counted from 1; 0 for none
  uint32_t first_reader = 0, last_reader = 0, reader_count = 0;
};

// Fills in the writers and readers of all candidates. False where a node cannot be read or there is no memory.
bool FindUses(const Graph& graph, Candidate* candidates) {
  AlignedArray<Uses> uses;
  const size_t tensors = graph.context->tensors_size;
  if (!uses.Reserve(tensors + 1)) return false;
  for (uint32_t i = 0; i < graph.count; ++i) {
    TfLiteNode* tflite = nullptr;
    TfLiteRegistration* registration = nullptr;
    if (graph.context->GetNodeAndRegistration(graph.context, graph.nodes[i], &tflite, &registration) != kTfLiteOk) {
      return false;
    }
    for (int k = 0; k < tflite->inputs->size; ++k) {
      if (tflite->inputs->data[k] < 0) continue;
      Uses& use = uses[static_cast<size_t>(tflite->inputs->data[k])];
      if (use.reader_count > 0 && use.last_reader == i) continue;  // reads it twice
      if (use.reader_count++ == 0) use.first_reader = i;
      use.last_reader = i;
    }
    for (int k = 0; k < tflite->outputs->size; ++k) {
      if (tflite->outputs->data[k] >= 0) uses[static_cast<size_t>(tflite->outputs->data[k])].written = i + 1;
    }
  }
  for (uint32_t i = 0; i < graph.count; ++i) {
    Candidate& c = candidates[i];
    if (!c.planar) continue;
    for (int k = 0; k < 2; ++k) {
      const int input = c.node.inputs[k];
      c.writers[k] = input < 0 ? kNowhere : int64_t{uses[static_cast<size_t>(input)].written} - 1;
    }
    const Uses& read = uses[static_cast<size_t>(c.node.output)];
    c.reader_count = read.reader_count;
    c.first_reader = read.reader_count > 0 ? read.first_reader : kNowhere;
    c.last_reader = read.reader_count > 0 ? read.last_reader : kNowhere;
  }
  return true;
}

// A PAD is folded into the one layer behind it; nothing in a chain reads a mean; widened constants do not leave.
bool Fits(const Graph& graph, uint32_t first, uint32_t end) {
  for (uint32_t i = first; i < end; ++i) {
    const Candidate& c = graph.candidates[i];
    const PlanarNode& node = c.node;
    if (node.is_widening) {
      if (c.reader_count == 0 || c.last_reader >= end) return false;
      continue;
    }
    if (!node.is_pad) {
      if (node.kind == StageKind::kMean && c.reader_count > 0 && c.first_reader < end) return false;
      continue;
    }
    if (c.reader_count != 1 || c.last_reader >= end) return false;
    const PlanarNode& reader = graph.candidates[c.last_reader].node;
    if (reader.is_pad || IsPointwise(reader) ||
        (reader.kind != StageKind::kConv && reader.kind != StageKind::kDepthwise)) {
      return false;
    }
  }
  return true;
}

// What a chain of [first, end) is predicted to save, and minus infinity where it cannot be one.
double Gain(const Graph& graph, uint32_t first, uint32_t end) {
  if (end - first < 2 || !Fits(graph, first, end)) return -1e30;
  double gain = 0;
  bool sparse = false;
  for (uint32_t i = first; i < end; ++i) {
    const Candidate& c = graph.candidates[i];
    const PlanarNode& node = c.node;
    if (node.is_widening) continue;
    const double taps = double{1} * node.kernel_h * node.kernel_w;
    for (int k = 0; k < (node.kind == StageKind::kAdd ? 2 : 1); ++k) {
      const bool inside = c.writers[k] >= first && c.writers[k] < end;
      if (!inside) gain -= kMove * ValuesOf(*graph.context, node.inputs[k]);
    }
    if (c.reader_count == 0 || c.last_reader >= end) gain -= kMove * c.values_out;
    if (node.is_pad) {
      gain += kPadThere * c.values_out;
    } else if (node.kind == StageKind::kConv) {
      sparse = true;
      gain += kMove * (c.values_in + c.values_out);
      if (taps * node.stride_h * node.stride_w > 1) gain -= kFillPlanes * c.values_in;
    } else if (node.kind == StageKind::kAdd) {
      gain += (kAddThere - kAddHere) * c.values_out;
    } else if (node.kind != StageKind::kMean) {
      gain += (kTapThere - kTapHere) * taps * c.values_out;
    }
  }
  return sparse ? gain : -1e30;
}

// Drops nodes from both ends of [first, end) as long as that saves more.
double Trim(const Graph& graph, uint32_t* first, uint32_t* end) {
  double best = Gain(graph, *first, *end);
  uint32_t best_first = *first, best_end = *end;
  for (uint32_t f = *first; f < *end; ++f) {
    const double gain = Gain(graph, f, *end);
    if (gain > best) best = gain, best_first = f;
  }
  for (uint32_t e = *end; e > best_first; --e) {
    const double gain = Gain(graph, best_first, e);
    if (gain > best) best = gain, best_end = e;
  }
  *first = best_first;
  *end = best_end;
  return best;
}

// Whether the interpreter would be handed a tensor that no stage writes.
bool UnwrittenLeaves(const Graph& graph, const NodeRun& run, const TfLiteIntArray& outputs) {
  for (uint32_t i = run.first; i < run.first + run.count; ++i) {
    const PlanarNode& node = graph.candidates[i].node;
    if (!node.is_pad && !node.is_widening) continue;
    for (int o = 0; o < outputs.size; ++o) {
      if (outputs.data[o] == node.output) return true;
    }
  }
  return false;
}

// Asks the interpreter whether it would take the run as one piece.
bool StaysWhole(const Graph& graph, const NodeRun& run, TfLiteIntArray* nodes) {
  nodes->size = static_cast<int>(run.count);
  for (uint32_t i = 0; i < run.count; ++i) nodes->data[i] = graph.nodes[run.first + i];
  TfLiteDelegateParams* pieces = nullptr;
  int count = 0;
  if (graph.context->PreviewDelegatePartitioning(graph.context, nodes, &pieces, &count) != kTfLiteOk) return false;
  return count == 1 && !UnwrittenLeaves(graph, run, *pieces[0].output_tensors);
}

// The end of the longest run of planar nodes from `first` on that may be one chain.
uint32_t RunEnd(const Graph& graph, uint32_t first) {
  uint32_t end = first;
  while (end < graph.count && graph.candidates[end].planar) ++end;
  return end;
}

}  // namespace

bool FindChains(TfLiteContext* context, const TfLiteIntArray& plan, Partition* partition) {
  const size_t size = static_cast<size_t>(plan.size);
  AlignedArray<Candidate> candidates;
  AlignedArray<int> list;  // room of a TfLiteIntArray
  if (!candidates.Reserve(size + 1) || !list.Reserve(size + 2) || !partition->nodes.Reserve(size + 1) ||
      !partition->chains.Reserve(size + 1)) {
    return false;
  }
  FloatConstants constants;
  if (!constants.Read(context, plan)) return false;
  for (size_t i = 0; i < size; ++i) {
    Candidate& c = candidates[i];
    partition->nodes[i] = plan.data[i];
    c.planar = ReadPlanarNode(context, constants, plan.data[i], &c.node);
    if (!c.planar || c.node.is_widening) continue;
    c.values_in = ValuesOf(*context, c.node.inputs[0]);
    c.values_out = ValuesOf(*context, c.node.output);
  }
  const Graph graph = {context, partition->nodes.data(), candidates.data(), static_cast<uint32_t>(size)};
  if (!FindUses(graph, candidates.data())) return false;
  for (uint32_t i = 0; i < graph.count;) {
    uint32_t first = i, end = RunEnd(graph, i);
    if (end == first) {
      ++i;
      continue;
    }
    while (end > first && !Fits(graph, first, end)) --end;  // cut before what cannot be part of it
    i = end > first ? end : first + 1;
    if (end == first || Trim(graph, &first, &end) <= 0) continue;
    const NodeRun run = {first, end - first};
    if (StaysWhole(graph, run, reinterpret_cast<TfLiteIntArray*>(list.data()))) {
      partition->chains[partition->chain_count++] = run;
    }
  }
  return true;
}

}  // namespace tfprune
