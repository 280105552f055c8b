// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/formats/header.h"

#include <math.h>
#include <string.h>

#include "tflite_ops/base/crc32.h"
#include "tflite_ops/formats/little_endian.h"

namespace tfprune {
namespace {

constexpr uint32_t kVersion = 2;
constexpr uint64_t kMaxColumns = (uint64_t{1} << 31) - 1;
constexpr uint32_t kMaxCountedColumns = 65536;  // of blocks and of bitmaps
constexpr uint32_t kMaxBits = 32;

// Byte offsets of the header's fields, in the order of docs/formats.md.
enum Field : uint32_t {
  kMagicField = 0,
  kVersionField = 4,
  kHeaderBytesField = 6,
  kTotalBytes = 8,
  kOp = 12,  // a byte each from here
  kEncoding = 13,
  kValueType = 14,
  kActivation = 15,
  kPadding = 16,
  kKeepNumDims = 17,
  kActivationType = 18,
  kRounding = 19,
  kWeightZeroPoint = 20,
  kColumnBytes = 21,
  kCountBits = 22,
  kBandRows = 23,
  kRowBits = 24,
  kBandBits = 25,
  kReserved = 26,
  kOutChannels = 28,  // four bytes each from here
  kKernelH = 32,
  kKernelW = 36,
  kInChannels = 40,
  kStrideH = 44,
  kStrideW = 48,
  kDilationH = 52,
  kDilationW = 56,
  kGroupRows = 60,
  kGroupCols = 64,
  kLineCount = 68,
  kGroupCount = 72,
  kValueCount = 76,
  kColumnUnit = 80,
  kRowCount = 84,
  kInputScale = 88,
  kInputZeroPoint = 92,
  kOutputScale = 96,
  kOutputZeroPoint = 100,
  kStockChannels = 104,
  kReservedEnd = 108,
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
  if (version < kVersion) {
    return Error("packed weights: this library reads version %u, got %u; convert the model again", kVersion, version);
  }
  if (version > kVersion) {
    return Error(
        "packed weights: this library reads version %u, got %u; use a newer libtfprune"
        ", in an app the AAR of the version that converted the model",
        kVersion, version);
  }
  if (ReadU16(header, kHeaderBytesField) != kHeaderBytes)
    return Error("packed weights: header_bytes must be %u", kHeaderBytes);
  const uint32_t crc = Crc32(header, kHeaderCrc32);
  if (ReadU32(header, kHeaderCrc32) != crc)
    return Error("packed weights: the header's CRC does not match; the file is damaged");
  if (ReadU32(header, kTotalBytes) != size) {
    return Error("packed weights: total_bytes %u must equal the tensor's %zu", ReadU32(header, kTotalBytes), size);
  }
  for (uint32_t i = kReserved; i < kHeaderCrc32; ++i) {
    if (i == kReserved + 2) i = kReservedEnd;
    if (header[i] != 0) return Error("packed weights: byte %u must be 0", i);
  }
  return {};
}

// Numbers from `least` to `most`, one byte each.
Status CheckByte(const char* name, uint32_t value, uint32_t least, uint32_t most) {
  if (value >= least && value <= most) return {};
  return Error("packed weights: %s must lie in %u .. %u, got %u", name, least, most, value);
}

Status ReadOptions(const uint8_t* header, PackedWeights* packed) {
  const struct {
    const char* name;
    uint32_t offset, least, most;
  } options[] = {
      {"op", kOp, 1, 2},
      {"encoding", kEncoding, 1, 4},
      {"value_type", kValueType, 1, 4},
      {"activation", kActivation, 0, 3},
      {"padding", kPadding, 0, 1},
      {"keep_num_dims", kKeepNumDims, 0, 1},
      {"activation_type", kActivationType, 0, 3},
      {"rounding", kRounding, 0, 4},
      {"column_bytes", kColumnBytes, 0, 2},
      {"count_bits", kCountBits, 0, kMaxBits},
      {"row_bits", kRowBits, 0, kMaxBits},
      {"band_bits", kBandBits, 0, kMaxBits},
      {"band_rows", kBandRows, 0, kMaxBandRows},
  };
  for (const auto& option : options)
    TFPRUNE_RETURN_IF_ERROR(CheckByte(option.name, header[option.offset], option.least, option.most));
  packed->op = static_cast<Op>(header[kOp]);
  packed->encoding = static_cast<Encoding>(header[kEncoding]);
  packed->value_type = static_cast<ValueType>(header[kValueType]);
  packed->activation = static_cast<Activation>(header[kActivation]);
  packed->padding = static_cast<Padding>(header[kPadding]);
  packed->keep_num_dims = header[kKeepNumDims] != 0;
  packed->activation_type = static_cast<ActivationType>(header[kActivationType]);
  packed->rounding = static_cast<Rounding>(header[kRounding]);
  const uint8_t zero_point = header[kWeightZeroPoint];
  packed->weight_zero_point = packed->value_type == ValueType::kInt8 ? static_cast<int8_t>(zero_point) : zero_point;
  packed->band_rows = header[kBandRows];
  return {};
}

Status ReadSizes(const uint8_t* header, PackedWeights* packed) {
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
    if (*size.field == 0) return Error("packed weights: %s must be at least 1, got 0", size.name);
  }
  packed->line_count = ReadU32(header, kLineCount);
  packed->group_count = ReadU32(header, kGroupCount);
  packed->value_count = ReadU32(header, kValueCount);
  packed->stock_channels = ReadU32(header, kStockChannels);
  return {};
}

Status CheckQuantizedTensor(const char* name, float scale, int32_t zero_point, ActivationType type) {
  if (!isfinite(scale) || scale <= 0.0f) {
    return Error("packed weights: %s_scale must be finite and above 0, got %g", name, static_cast<double>(scale));
  }
  const int32_t low = type == ActivationType::kInt8 ? -128 : 0;
  const int32_t high = type == ActivationType::kInt8 ? 127 : type == ActivationType::kUInt8 ? 255 : 0;
  if (zero_point < low || zero_point > high)
    return Error("packed weights: %s_zero_point must lie in %d .. %d, got %d", name, low, high, zero_point);
  return {};
}

bool TypesFit(ValueType weights, ActivationType activations) {
  if (weights == ValueType::kUInt8 || activations == ActivationType::kUInt8)
    return weights == ValueType::kUInt8 && activations == ActivationType::kUInt8;
  return weights == ValueType::kInt8 || activations == ActivationType::kFloat32;
}

Status CheckRounding(const PackedWeights& packed) {
  const Rounding rounding = packed.rounding;
  if (rounding == Rounding::kNone)
    return Error("packed weights: rounding must not be 0 where activations are quantised");
  if (packed.activation_type == ActivationType::kInt16 && rounding > Rounding::kBuiltin)
    return Error("packed weights: rounding of int16 activations must be 1 or 2, got %u",
                 static_cast<uint32_t>(rounding));
  const bool int8 = packed.value_type == ValueType::kInt8 && packed.activation_type == ActivationType::kInt8;
  if (packed.value_type != ValueType::kUInt8 && packed.weight_zero_point != 0 &&
      !(int8 && rounding != Rounding::kXnnpack)) {
    return Error("packed weights: weight_zero_point must be 0, got %d", packed.weight_zero_point);
  }
  const uint32_t channels = packed.stock_channels;
  if (rounding == Rounding::kBuiltinChannels ? channels == 0 || packed.out_channels % channels != 0 : channels != 0) {
    return Error("packed weights: stock_channels must divide out_channels for rounding 3 and else be 0, got %u",
                 channels);
  }
  return {};
}

Status ReadQuantization(const uint8_t* header, PackedWeights* packed) {
  const ActivationType type = packed->activation_type;
  if (!TypesFit(packed->value_type, type)) {
    return Error("packed weights: activation_type %u does not fit value_type %u", static_cast<uint32_t>(type),
                 static_cast<uint32_t>(packed->value_type));
  }
  packed->input_scale = ReadF32(header, kInputScale);
  packed->output_scale = ReadF32(header, kOutputScale);
  packed->input_zero_point = static_cast<int32_t>(ReadU32(header, kInputZeroPoint));
  packed->output_zero_point = static_cast<int32_t>(ReadU32(header, kOutputZeroPoint));
  if (type == ActivationType::kFloat32) {
    if (packed->weight_zero_point != 0)
      return Error("packed weights: weight_zero_point must be 0 where activations are float32");
    for (uint32_t i = kInputScale; i < kReservedEnd; ++i) {
      if (header[i] != 0) return Error("packed weights: byte %u must be 0 where activations are float32", i);
    }
    if (packed->rounding == Rounding::kNone) return {};
    return Error("packed weights: rounding must be 0 where activations are float32");
  }
  TFPRUNE_RETURN_IF_ERROR(CheckRounding(*packed));
  TFPRUNE_RETURN_IF_ERROR(CheckQuantizedTensor("input", packed->input_scale, packed->input_zero_point, type));
  return CheckQuantizedTensor("output", packed->output_scale, packed->output_zero_point, type);
}

Status CheckMatrix(const PackedWeights& packed) {
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
  return {};
}

Status CheckGroupsAndBlocks(const PackedWeights& packed) {
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
    if (packed.group_rows > (packed.encoding == Encoding::kBlockRows ? kMaxBlockRows : 1) || packed.group_cols != 1) {
      return Error("packed weights: group_rows of blocks is at most %u (block-columns: 1) and group_cols 1",
                   kMaxBlockRows);
    }
    if (packed.columns() > kMaxCountedColumns)
      return Error("packed weights: blocks have at most %u columns", kMaxCountedColumns);
    return packed.band_rows == 0 ? Error("packed weights: band_rows of blocks must be at least 1") : Status{};
  }
  const uint32_t lines = packed.encoding == Encoding::kRowBand ? (packed.out_channels - 1) / packed.group_rows + 1
                                                               : packed.out_channels - packed.group_rows + 1;
  if (packed.line_count != lines)
    return Error("packed weights: line_count must be %u, got %u", lines, packed.line_count);
  return {};
}

Status CheckStorage(const PackedWeights& packed, const Storage& storage) {
  if (!packed.in_blocks() && (packed.band_rows | storage.row_bits | storage.band_bits | storage.row_count) != 0)
    return Error("packed weights: band_rows, row_bits, band_bits and row_count must be 0 without blocks");
  if (storage.column_bytes != 0) {
    return storage.column_unit == 1 ? Status{} : Error("packed weights: column_unit must be 1 where columns are steps");
  }
  if (packed.in_blocks()) return Error("packed weights: column_bytes of blocks must be 1 or 2");
  if (packed.columns() > kMaxCountedColumns)
    return Error("packed weights: a bitmap has at most %u columns", kMaxCountedColumns);
  if (storage.column_unit != 1 && storage.column_unit != packed.group_cols)
    return Error("packed weights: column_unit must be 1 or group_cols, got %u", storage.column_unit);
  return storage.count_bits == 0 ? Status{} : Error("packed weights: count_bits must be 0 where columns are a bitmap");
}

}  // namespace

Status ReadHeader(const uint8_t* bytes, size_t size, PackedWeights* packed, Storage* storage) {
  TFPRUNE_RETURN_IF_ERROR(CheckFrame(bytes, size));
  TFPRUNE_RETURN_IF_ERROR(ReadOptions(bytes, packed));
  TFPRUNE_RETURN_IF_ERROR(ReadSizes(bytes, packed));
  TFPRUNE_RETURN_IF_ERROR(ReadQuantization(bytes, packed));
  TFPRUNE_RETURN_IF_ERROR(CheckMatrix(*packed));
  TFPRUNE_RETURN_IF_ERROR(CheckGroupsAndBlocks(*packed));
  packed->band_count = packed->in_blocks() ? (packed->out_channels - 1) / packed->band_rows + 1 : 0;
  *storage = {bytes[kColumnBytes], ReadU32(bytes, kColumnUnit), bytes[kCountBits], bytes[kRowBits],
              bytes[kBandBits],    ReadU32(bytes, kRowCount)};
  return CheckStorage(*packed, *storage);
}

Status ReadPackedHeader(const void* data, size_t size, PackedWeights* packed) {
  Storage storage;
  return ReadHeader(static_cast<const uint8_t*>(data), size, packed, &storage);
}

}  // namespace tfprune
