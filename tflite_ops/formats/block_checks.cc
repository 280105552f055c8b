// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/formats/block_checks.h"

#include "tflite_ops/formats/little_endian.h"

namespace tfprune {
namespace {

// `rows_before` and `columns_before`: ends of the block before this one.
Status CheckBlock(const PackedWeights& packed, uint32_t band, uint32_t block, uint32_t rows_before,
                  uint32_t columns_before) {
  const uint32_t rows_end = packed.row_ends[block], most = packed.row_ends[packed.line_count - 1];
  if (rows_end <= rows_before || rows_end > most)
    return Error("packed weights: row_ends[%u] is %u, outside %u .. %u", block, rows_end, rows_before + 1, most);
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

Status ReadBlockSection(const uint8_t* section, uint64_t size, PackedWeights* packed) {
  if (size < 4) return Error("packed weights: no room for the block rows");
  packed->band_rows = ReadU32(section, 0);
  if (packed->band_rows == 0 || packed->band_rows > kMaxBandRows)
    return Error("packed weights: band_rows must lie in 1 .. %u, got %u", kMaxBandRows, packed->band_rows);
  packed->band_count = (packed->out_channels - 1) / packed->band_rows + 1;
  const uint64_t words = 1 + uint64_t{packed->band_count} + packed->line_count;
  if (words * 4 > size) return Error("packed weights: the ends of bands and rows reach over the block rows");
  packed->band_ends = reinterpret_cast<const uint32_t*>(section) + 1;
  packed->row_ends = packed->band_ends + packed->band_count;
  packed->block_rows = section + words * 4;
  const uint64_t rows = packed->line_count == 0 ? 0 : packed->row_ends[packed->line_count - 1];
  if (rows > size - words * 4) return Error("packed weights: the rows of blocks reach over their section");
  return {};
}

Status CheckBlocks(PackedWeights* view, uint64_t* values) {
  const PackedWeights& packed = *view;
  if (!view->band_values.Reserve(size_t{packed.band_count} + 1))
    return Error("packed weights: no memory for %u bands", packed.band_count);
  uint32_t block = 0, rows = 0, columns = 0;
  *values = 0;
  for (uint32_t band = 0; band < packed.band_count; ++band) {
    view->band_values[band] = static_cast<uint32_t>(*values);
    const uint32_t end = packed.band_ends[band];
    if (end < block || end > packed.line_count)
      return Error("packed weights: band_ends[%u] is %u, outside %u .. %u", band, end, block, packed.line_count);
    for (; block < end; ++block) {
      TFPRUNE_RETURN_IF_ERROR(CheckBlock(packed, band, block, rows, columns));
      *values += uint64_t{packed.row_ends[block] - rows} * (packed.line_ends[block] - columns);
      rows = packed.row_ends[block];
      columns = packed.line_ends[block];
    }
  }
  if (block != packed.line_count) return Error("packed weights: band_ends must end at line_count");
  view->band_values[packed.band_count] = static_cast<uint32_t>(*values);
  return {};
}

}  // namespace tfprune
