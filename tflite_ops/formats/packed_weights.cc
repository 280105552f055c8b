// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/formats/packed_weights.h"

#include <math.h>
#include <string.h>

#include "tflite_ops/base/crc32.h"
#include "tflite_ops/formats/block_checks.h"
#include "tflite_ops/formats/half.h"
#include "tflite_ops/formats/little_endian.h"

namespace tfprune {
namespace {

constexpr uint32_t kHeaderBytes = 128;
constexpr uint32_t kVersion = 1;
constexpr uint64_t kMaxColumns = (uint64_t{1} << 31) - 1;
constexpr uint32_t kMaxColumnsInBlocks = 65536;
constexpr size_t kValuesOfTask = 16384;  // that one thread expands at a time

// Byte offsets of the header's fields, in the order of docs/formats.md.
enum Field : uint32_t {
  kMagicField = 0,
  kVersionField = 4,
  kHeaderBytesField = 6,
  kTotalBytes = 8,
  kOp = 12,
  kEncoding = 16,
  kValueType = 20,
  kActivation = 24,
  kPadding = 28,
  kOutChannels = 32,
  kKernelH = 36,
  kKernelW = 40,
  kInChannels = 44,
  kStrideH = 48,
  kStrideW = 52,
  kDilationH = 56,
  kDilationW = 60,
  kKeepNumDims = 64,
  kGroupRows = 68,
  kGroupCols = 72,
  kLineCount = 76,
  kGroupCount = 80,
  kValueCount = 84,
  kLineEndsOffset = 88,
  kColumnsOffset = 92,
  kValuesOffset = 96,
  kInputScale = 100,
  kInputZeroPoint = 104,
  kOutputScale = 108,
  kOutputZeroPoint = 112,
  kScalesOffset = 116,
  kBlocksOffset = 120,
  kHeaderCrc32 = 124,
};

float ReadF32(const uint8_t* bytes, uint32_t offset) {
  const uint32_t bits = ReadU32(bytes, offset);
  float value;
  memcpy(&value, &bits, sizeof(value));
  return value;
}

Status CheckFrame(const uint8_t* header, size_t size) {
  if (size < kHeaderBytes) return Error("packed weights: the header needs %u bytes, got %zu", kHeaderBytes, size);
  if (memcmp(header + kMagicField, "TFPK", 4) != 0) return Error("packed weights: magic is not TFPK");
  const uint32_t version = ReadU16(header, kVersionField);
  if (version != kVersion) {
    return Error("packed weights: this library reads version %u, got %u; use a newer libtfprune", kVersion, version);
  }
  if (ReadU16(header, kHeaderBytesField) != kHeaderBytes)
    return Error("packed weights: header_bytes must be %u", kHeaderBytes);
  const uint32_t crc = Crc32(header, kHeaderCrc32);
  if (ReadU32(header, kHeaderCrc32) != crc)
    return Error("packed weights: the header's CRC does not match; the file is damaged");
  if (ReadU32(header, kTotalBytes) != size) {
    return Error("packed weights: total_bytes %u must equal the tensor's %zu", ReadU32(header, kTotalBytes), size);
  }
  return {};
}

Status CheckChoice(const char* name, uint32_t value, uint32_t a, uint32_t b, uint32_t c) {
  if (value == a || value == b || value == c) return {};
  return Error("packed weights: %s has the unknown value %u", name, value);
}

Status CheckAtLeastOne(const char* name, uint32_t value) {
  if (value >= 1) return {};
  return Error("packed weights: %s must be at least 1, got 0", name);
}

Status ReadFields(const uint8_t* header, PackedWeights* packed) {
  TFPRUNE_RETURN_IF_ERROR(CheckChoice("op", ReadU32(header, kOp), 1, 2, 2));
  const uint32_t encoding = ReadU32(header, kEncoding);
  if (encoding < 1 || encoding > 4) return Error("packed weights: encoding has the unknown value %u", encoding);
  TFPRUNE_RETURN_IF_ERROR(CheckChoice("value_type", ReadU32(header, kValueType), 1, 2, 3));
  TFPRUNE_RETURN_IF_ERROR(CheckChoice("activation", ReadU32(header, kActivation), 0, 1, 3));
  TFPRUNE_RETURN_IF_ERROR(CheckChoice("padding", ReadU32(header, kPadding), 0, 1, 1));
  TFPRUNE_RETURN_IF_ERROR(CheckChoice("keep_num_dims", ReadU32(header, kKeepNumDims), 0, 1, 1));
  packed->op = static_cast<Op>(ReadU32(header, kOp));
  packed->encoding = static_cast<Encoding>(encoding);
  packed->activation = static_cast<Activation>(ReadU32(header, kActivation));
  packed->padding = static_cast<Padding>(ReadU32(header, kPadding));
  packed->value_type = static_cast<ValueType>(ReadU32(header, kValueType));
  packed->keep_num_dims = ReadU32(header, kKeepNumDims) != 0;
  const struct {
    const char* name;
    uint32_t offset;
    uint32_t* field;
  } sizes[] = {
      {"out_channels", kOutChannels, &packed->out_channels},
      {"kernel_h", kKernelH, &packed->kernel_h},
      {"kernel_w", kKernelW, &packed->kernel_w},
      {"in_channels", kInChannels, &packed->in_channels},
      {"stride_h", kStrideH, &packed->stride_h},
      {"stride_w", kStrideW, &packed->stride_w},
      {"dilation_h", kDilationH, &packed->dilation_h},
      {"dilation_w", kDilationW, &packed->dilation_w},
      {"group_rows", kGroupRows, &packed->group_rows},
      {"group_cols", kGroupCols, &packed->group_cols},
  };
  for (const auto& size : sizes) {
    *size.field = ReadU32(header, size.offset);
    TFPRUNE_RETURN_IF_ERROR(CheckAtLeastOne(size.name, *size.field));
  }
  packed->line_count = ReadU32(header, kLineCount);
  packed->group_count = ReadU32(header, kGroupCount);
  packed->value_count = ReadU32(header, kValueCount);
  return {};
}

Status CheckQuantizedTensor(const char* name, float scale, int32_t zero_point) {
  if (!isfinite(scale) || scale <= 0.0f) {
    return Error("packed weights: %s_scale must be finite and above 0, got %g", name, static_cast<double>(scale));
  }
  if (zero_point < -128 || zero_point > 127)
    return Error("packed weights: %s_zero_point must lie in -128 .. 127, got %d", name, zero_point);
  return {};
}

Status ReadQuantization(const uint8_t* header, PackedWeights* packed) {
  if (packed->value_type != ValueType::kInt8) {
    for (uint32_t i = kInputScale; i < kBlocksOffset; ++i) {
      if (header[i] != 0) return Error("packed weights: byte %u must be 0 where weights are not int8", i);
    }
    return {};
  }
  packed->input_scale = ReadF32(header, kInputScale);
  packed->output_scale = ReadF32(header, kOutputScale);
  packed->input_zero_point = static_cast<int32_t>(ReadU32(header, kInputZeroPoint));
  packed->output_zero_point = static_cast<int32_t>(ReadU32(header, kOutputZeroPoint));
  if (packed->input_scale == 0.0f) {
    if (packed->input_zero_point == 0 && packed->output_scale == 0.0f && packed->output_zero_point == 0) return {};
    return Error("packed weights: int8 weights with float32 activations have no activation scales or zero points");
  }
  TFPRUNE_RETURN_IF_ERROR(CheckQuantizedTensor("input", packed->input_scale, packed->input_zero_point));
  return CheckQuantizedTensor("output", packed->output_scale, packed->output_zero_point);
}

Status CheckShape(const PackedWeights& packed) {
  const uint64_t area = uint64_t{packed.kernel_h} * packed.kernel_w;
  if (area > kMaxColumns || area * packed.in_channels > kMaxColumns || packed.out_channels > kMaxColumns) {
    return Error("packed weights: out_channels and kernel_h * kernel_w * in_channels must stay below 2^31");
  }
  if ((packed.kernel_h - 1) * uint64_t{packed.dilation_h} >= kMaxColumns ||
      (packed.kernel_w - 1) * uint64_t{packed.dilation_w} >= kMaxColumns) {
    return Error("packed weights: (kernel - 1) * dilation + 1 must stay below 2^31");
  }
  if (packed.op == Op::kConv2D) {
    if (packed.keep_num_dims) return Error("packed weights: keep_num_dims must be 0 for a convolution");
  } else if (area != 1 || packed.stride_h != 1 || packed.stride_w != 1 || packed.dilation_h != 1 ||
             packed.dilation_w != 1 || packed.padding != Padding::kValid) {
    return Error("packed weights: kernel, stride and dilation must be 1 and padding VALID for a fully-connected layer");
  }
  if (packed.group_rows > packed.out_channels) {
    return Error("packed weights: group_rows %u is above out_channels %u", packed.group_rows, packed.out_channels);
  }
  if (packed.group_cols > packed.columns()) {
    return Error("packed weights: group_cols %u is above the %u columns", packed.group_cols, packed.columns());
  }
  if (packed.encoding == Encoding::kSlidingRow && packed.group_rows > kMaxSlidingRows) {
    return Error("packed weights: sliding-row groups have at most %u rows, got %u", kMaxSlidingRows, packed.group_rows);
  }
  if (packed.in_blocks()) {
    if (packed.value_type != ValueType::kFloat32) {
      return Error("packed weights: values of blocks are float32 (value_type 1), got value_type %u",
                   static_cast<uint32_t>(packed.value_type));
    }
    if (packed.group_rows > (packed.encoding == Encoding::kBlockRows ? kMaxBlockRows : 1) || packed.group_cols != 1) {
      return Error("packed weights: group_rows of blocks is at most %u (block-columns: 1) and group_cols 1",
                   kMaxBlockRows);
    }
    if (packed.columns() > kMaxColumnsInBlocks)
      return Error("packed weights: blocks have at most %u columns", kMaxColumnsInBlocks);
    return {};
  }
  const uint32_t lines = packed.encoding == Encoding::kRowBand ? (packed.out_channels - 1) / packed.group_rows + 1
                                                               : packed.out_channels - packed.group_rows + 1;
  if (packed.line_count != lines)
    return Error("packed weights: line_count must be %u, got %u", lines, packed.line_count);
  return {};
}

Status CheckSection(const char* name, uint64_t offset, uint64_t count, uint64_t item, uint64_t begin, uint64_t end) {
  if (offset % kAlignment != 0 || offset < begin) {
    return Error("packed weights: %s_offset %llu must be a multiple of 64 behind the section before it", name,
                 static_cast<unsigned long long>(offset));
  }
  if (offset > end || count * item > end - offset)
    return Error("packed weights: the %s reach over the end of the tensor", name);
  return {};
}

// Every group inside the columns, line by line; `line_ends` in order.
Status CheckColumns(const PackedWeights& packed) {
  uint32_t before = 0;
  for (uint32_t line = 0; line < packed.line_count; ++line) {
    const uint32_t end = packed.line_ends[line];
    if (end < before || end > packed.group_count) {
      return Error("packed weights: line_ends[%u] is %u, outside %u .. %u", line, end, before, packed.group_count);
    }
    uint64_t column = 0;
    for (uint32_t group = before; group < end; ++group) {
      const uint32_t delta = packed.column_deltas[group];
      if (delta == 0 && group != before) return Error("packed weights: columns of line %u must rise strictly", line);
      column += delta;
      if (column + packed.group_cols > packed.columns()) {
        return Error("packed weights: group %u of line %u reaches over column %u", group, line, packed.columns());
      }
    }
    before = end;
  }
  if (before != packed.group_count)
    return Error("packed weights: line_ends must end at group_count %u", packed.group_count);
  return {};
}

Status CheckValueCount(const PackedWeights& packed, uint64_t values) {
  if (values != packed.value_count) {
    return Error("packed weights: value_count must be %llu, got %u", static_cast<unsigned long long>(values),
                 packed.value_count);
  }
  return {};
}

Status CheckScales(const PackedWeights& packed) {
  for (uint32_t row = 0; packed.scales != nullptr && row < packed.out_channels; ++row) {
    if (!isfinite(packed.scales[row]) || packed.scales[row] <= 0.0f)
      return Error("packed weights: the scale of output channel %u must be finite and above 0", row);
  }
  return {};
}

Status CheckGroups(const PackedWeights& packed) {
  TFPRUNE_RETURN_IF_ERROR(CheckColumns(packed));
  TFPRUNE_RETURN_IF_ERROR(CheckScales(packed));
  uint64_t values = 0;
  for (uint32_t line = 0, before = 0; line < packed.line_count; before = packed.line_ends[line++]) {
    uint64_t cells = uint64_t{packed.line_ends[line] - before} * packed.group_cols;
    if (packed.value_type == ValueType::kInt8) cells = (cells + kDotCells - 1) / kDotCells * kDotCells;
    values += cells * packed.RowsOfLine(line);
  }
  return CheckValueCount(packed, values);
}

// Where the sections start, in bytes; `scales` and `blocks` are 0 where there are none.
struct SectionOffsets {
  uint64_t lines, columns, scales, blocks, values;
};

uint64_t ValueBytes(ValueType type) { return type == ValueType::kFloat32 ? 4 : type == ValueType::kFloat16 ? 2 : 1; }

Status FindSections(const uint8_t* bytes, size_t size, const PackedWeights& packed, SectionOffsets* found) {
  *found = {ReadU32(bytes, kLineEndsOffset), ReadU32(bytes, kColumnsOffset), ReadU32(bytes, kScalesOffset),
            ReadU32(bytes, kBlocksOffset), ReadU32(bytes, kValuesOffset)};
  const uint64_t value_bytes = ValueBytes(packed.value_type);
  TFPRUNE_RETURN_IF_ERROR(CheckSection("line_ends", found->lines, packed.line_count, 4, kHeaderBytes, size));
  uint64_t end = found->lines + uint64_t{packed.line_count} * 4;
  TFPRUNE_RETURN_IF_ERROR(CheckSection("columns", found->columns, packed.group_count, 2, end, size));
  end = found->columns + uint64_t{packed.group_count} * 2;
  if (packed.value_type == ValueType::kInt8) {
    TFPRUNE_RETURN_IF_ERROR(CheckSection("scales", found->scales, packed.out_channels, 4, end, size));
    end = found->scales + uint64_t{packed.out_channels} * 4;
  }
  if (packed.in_blocks()) TFPRUNE_RETURN_IF_ERROR(CheckSection("blocks", found->blocks, 1, 4, end, found->values));
  if (!packed.in_blocks() && found->blocks != 0) return Error("packed weights: blocks_offset must be 0 without blocks");
  TFPRUNE_RETURN_IF_ERROR(CheckSection("values", found->values, packed.value_count, value_bytes, end, size));
  if (found->values + packed.value_count * value_bytes != size)
    return Error("packed weights: total_bytes must end with the values");
  return {};
}

void PointAtSections(const uint8_t* bytes, const SectionOffsets& at, PackedWeights* packed) {
  const uint8_t* values = bytes + at.values;
  const ValueType type = packed->value_type;
  packed->line_ends = reinterpret_cast<const uint32_t*>(bytes + at.lines);
  packed->column_deltas = reinterpret_cast<const uint16_t*>(bytes + at.columns);
  packed->values = type == ValueType::kFloat32 ? reinterpret_cast<const float*>(values) : nullptr;
  packed->halves = type == ValueType::kFloat16 ? reinterpret_cast<const uint16_t*>(values) : nullptr;
  packed->bytes = type == ValueType::kInt8 ? reinterpret_cast<const int8_t*>(values) : nullptr;
  packed->scales = type == ValueType::kInt8 ? reinterpret_cast<const float*>(bytes + at.scales) : nullptr;
}

}  // namespace

Status ReadPackedHeader(const void* data, size_t size, PackedWeights* packed) {
  const uint8_t* bytes = static_cast<const uint8_t*>(data);
  TFPRUNE_RETURN_IF_ERROR(CheckFrame(bytes, size));
  TFPRUNE_RETURN_IF_ERROR(ReadFields(bytes, packed));
  TFPRUNE_RETURN_IF_ERROR(ReadQuantization(bytes, packed));
  return CheckShape(*packed);
}

Status ReadPackedWeights(const void* data, size_t size, PackedWeights* packed) {
  const uint8_t* bytes = static_cast<const uint8_t*>(data);
  TFPRUNE_RETURN_IF_ERROR(ReadPackedHeader(bytes, size, packed));
  SectionOffsets at = {};
  TFPRUNE_RETURN_IF_ERROR(FindSections(bytes, size, *packed, &at));
  packed->copied = reinterpret_cast<uintptr_t>(bytes) % alignof(float) != 0;
  if (packed->copied) {
    if (!packed->copy.Reserve(size)) return Error("packed weights: no memory for a copy of %zu bytes", size);
    memcpy(packed->copy.data(), bytes, size);
    bytes = packed->copy.data();
  }
  PointAtSections(bytes, at, packed);
  if (!packed->in_blocks()) return CheckGroups(*packed);
  TFPRUNE_RETURN_IF_ERROR(ReadBlockSection(bytes + at.blocks, at.values - at.blocks, packed));
  TFPRUNE_RETURN_IF_ERROR(CheckColumns(*packed));
  uint64_t value_count = 0;
  TFPRUNE_RETURN_IF_ERROR(CheckBlocks(packed, &value_count));
  return CheckValueCount(*packed, value_count);
}

Status ExpandHalves(PackedWeights* packed, ThreadPool* pool, uint32_t threads) {
  if (packed->value_type != ValueType::kFloat16 || packed->values != nullptr) return {};
  const size_t count = packed->value_count;
  if (!packed->expanded.Reserve(count + 1)) return Error("packed weights: no memory for %zu float32 weights", count);
  const auto expand = [](void* context, size_t task, uint32_t) {
    PackedWeights& w = *static_cast<PackedWeights*>(context);
    const size_t begin = task * kValuesOfTask, rest = w.value_count - begin;
    HalvesToFloats(w.halves + begin, rest < kValuesOfTask ? rest : kValuesOfTask, w.expanded.data() + begin);
  };
  const size_t tasks = (count + kValuesOfTask - 1) / kValuesOfTask;
  if (pool != nullptr) {
    pool->Run(threads, tasks, expand, packed);
  } else {
    for (size_t task = 0; task < tasks; ++task) expand(packed, task, 0);
  }
  packed->values = packed->expanded.data();
  return {};
}

}  // namespace tfprune
