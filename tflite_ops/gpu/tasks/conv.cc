// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/gpu/tasks/conv.h"

#include <stdio.h>
#include <string.h>

#include "tflite_ops/base/integers.h"
#include "tflite_ops/gpu/tasks/cells.h"

namespace tfprune {
namespace {

constexpr char kName[] = "convolution";

// The kernel that computes one pixel with a whole work-group.
bool IsProduct(const ConvSpec& spec) {
  return spec.in.pixels() == 1 && spec.out.pixels() == 1 && spec.window.taps() == 1 && !spec.adds;
}

// More channels a work-item load each input less often, where enough work-items are left for every processor to hide
// its waits behind others.
uint32_t DenseRows(const DeviceFacts& facts, const ConvSpec& spec) {
  if (IsProduct(spec)) return 4;
  const size_t items = BlocksOf(spec.out, DivideUp(spec.out.channels, kMaxUnitRows)) * spec.out.batch;
  return items >= size_t{128} * facts.compute_units ? kMaxUnitRows : 4;
}

bool AddCells(const Cells& cells, Storage storage, const float* bias, Task* task) {
  if (!task->AddStored(cells.values.data(), cells.value_count(), storage)) return false;
  void* const rows = task->AddConstant(cells.band_count * sizeof(int32_t));
  if (rows == nullptr || !task->AddFloats(bias, cells.out_channels)) return false;
  memcpy(rows, cells.first_rows.data(), cells.band_count * sizeof(int32_t));
  if (cells.sparse) {
    void* const channels = task->AddConstant(cells.cell_count * sizeof(uint16_t));
    if (channels == nullptr) return false;
    memcpy(channels, cells.channels.data(), cells.cell_count * sizeof(uint16_t));
  }
  if (cells.equal) {
    task->AddInt(cells.cells_of_list);
    return true;
  }
  const size_t bytes = (size_t{cells.band_count} * cells.taps + 1) * sizeof(int32_t);
  void* const starts = task->AddConstant(bytes);
  if (starts != nullptr) memcpy(starts, cells.starts.data(), bytes);
  return starts != nullptr;
}

Status MakeFromCells(const DeviceFacts& facts, Storage storage, const ConvSpec& spec, const Cells& cells, Task* task) {
  const bool product = IsProduct(spec);
  char options[64];
  int length = snprintf(options, sizeof(options), " -D ROWS=%u -D SPARSE=%d -D EQUAL=%d", cells.unit_rows,
                        cells.sparse ? 1 : 0, cells.equal ? 1 : 0);
  if (!product) snprintf(options + length, sizeof(options) - length, " -D ADDEND=%d", spec.adds ? 1 : 0);
  task->program = product ? "fully_connected" : "conv";
  task->kernel = product ? "FullyConnected" : "Conv";
  task->SetOptions(storage, options);
  task->AddTensor(0);
  task->AddTensor(spec.adds ? 2 : 1);
  if (!AddCells(cells, storage, spec.bias, task)) return NoMemory(kName);
  if (product) {
    task->AddLocalFloats(cells.unit_rows);
    task->AddInt(Planes(spec.in).image_stride);
    task->AddInt(Planes(spec.out).image_stride);
    task->SetReduction(facts, cells.sparse ? cells.cell_count / cells.band_count : spec.in.channels, cells.unit_rows,
                       cells.units(), spec.out.batch);
  } else {
    if (spec.adds) task->AddTensor(1);
    AddWindow(spec.in, spec.out, spec.window, task);
    task->SetItems(facts, BlocksOf(spec.out, cells.units()), 1, spec.out.batch);
  }
  task->AddInt4(cells.out_channels, cells.group_rows, cells.parts, cells.units());
  task->AddFloat2(spec.bounds.low, spec.bounds.high);
  return {};
}

}  // namespace

Status MakeConv(const DeviceFacts& facts, Storage storage, const ConvSpec& spec, const float* weights, Task* task) {
  TFPRUNE_RETURN_IF_ERROR(CheckWindow(kName, spec.in, spec.out, spec.window));
  Cells cells;
  TFPRUNE_RETURN_IF_ERROR(
      DenseCells(weights, spec.out.channels, spec.window.taps(), spec.in.channels, DenseRows(facts, spec), &cells));
  return MakeFromCells(facts, storage, spec, cells, task);
}

Status MakeSparseConv(const DeviceFacts& facts, Storage storage, const ConvSpec& spec, const PackedWeights& weights,
                      Task* task) {
  TFPRUNE_RETURN_IF_ERROR(CheckWindow(kName, spec.in, spec.out, spec.window));
  if (weights.out_channels != spec.out.channels || weights.in_channels != spec.in.channels ||
      weights.kernel_h != spec.window.kernel_h || weights.kernel_w != spec.window.kernel_w) {
    return Error("gpu convolution: packed weights are [%u, %u, %u, %u], the layer wants [%u, %u, %u, %u]",
                 weights.out_channels, weights.kernel_h, weights.kernel_w, weights.in_channels, spec.out.channels,
                 spec.window.kernel_h, spec.window.kernel_w, spec.in.channels);
  }
  Cells cells;
  TFPRUNE_RETURN_IF_ERROR(SparseCells(weights, &cells));
  return MakeFromCells(facts, storage, spec, cells, task);
}

}  // namespace tfprune
