// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/formats/block_checks.h"

namespace tfprune {
namespace {

// `rows_before` and `columns_before`: ends of the block before this one.
Status CheckBlock(const PackedWeights& packed, uint32_t band, uint32_t block, uint32_t rows_before,
                  uint32_t columns_before) {
  const uint32_t rows_end = packed.row_ends[block];
  if (rows_end == rows_before) return Error("packed weights: block %u has no row", block);
  const uint32_t columns = packed.line_ends[block] - columns_before;
  if (columns == 0) return Error("packed weights: block %u has no column", block);
  if (packed.encoding == Encoding::kBlockColumns && columns > kMaxBlockColumns)
    return Error("packed weights: block %u has %u columns, above %u", block, columns, kMaxBlockColumns);
  const uint32_t rest = packed.out_channels - band * packed.band_rows;
  const uint32_t limit = rest < packed.band_rows ? rest : packed.band_rows;
  for (uint32_t i = rows_before; i < rows_end; ++i) {
    if (packed.block_rows[i] >= limit || (i > rows_before && packed.block_rows[i] <= packed.block_rows[i - 1]))
      return Error("packed weights: the rows of block %u must rise strictly and lie in their band", block);
  }
  return {};
}

}  // namespace

Status CheckBlocks(PackedWeights* view, uint64_t* values) {
  const PackedWeights& packed = *view;
  if (!view->band_values.Reserve(size_t{packed.band_count} + 1))
    return Error("packed weights: no memory for %u bands", packed.band_count);
  uint32_t block = 0, rows = 0, columns = 0;
  *values = 0;
  for (uint32_t band = 0; band < packed.band_count; ++band) {
    view->band_values[band] = static_cast<uint32_t>(*values);
    for (; block < packed.band_ends[band]; ++block) {
      TFPRUNE_RETURN_IF_ERROR(CheckBlock(packed, band, block, rows, columns));
      *values += uint64_t{packed.row_ends[block] - rows} * (packed.line_ends[block] - columns);
      rows = packed.row_ends[block];
      columns = packed.line_ends[block];
    }
  }
  view->band_values[packed.band_count] = static_cast<uint32_t>(*values);
  return {};
}

}  // namespace tfprune
