#include "packing.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <initializer_list>
#include <span>
#include <vector>

#include "formats.h"
#include "isa/select.h"
#include "kernels/r16.h"

namespace pyllm {
namespace {

// A run of equal blocks (or block pairs) in a row, and how its fields move. Plain arrays: looking
// up one embedding row builds a layout, and a step allocates nothing.
struct Segment {
  int64_t src_offset = 0, dst_offset = 0;
  int64_t n_blocks = 0, src_block_bytes = 0, dst_block_bytes = 0;
  int n_fields = 0;
  std::array<PackField, 8> fields{};

  void add(const PackField& field) { fields[static_cast<size_t>(n_fields++)] = field; }
};

// How one row of a type moves; no segments: the tile holds plain file rows.
struct Layout {
  uint32_t flip = 0;
  int n_segments = 0;
  std::array<Segment, 2> all{};

  void add(const Segment& segment) { all[static_cast<size_t>(n_segments++)] = segment; }
  std::span<const Segment> segments() const {
    return {all.data(), static_cast<size_t>(n_segments)};
  }
};

// Blocks with one f16 scale and a body of whole lines: pairs share a line for their scales (see
// r16.h).
struct PairedFormat {
  int block_elems;
  int32_t block_bytes, scale_at, body_bytes;
  std::span<const PackField> body;  // offsets inside the file block and inside the packed body
};

void append_block(Segment* segment, const PairedFormat& f, int32_t src, int32_t scale,
                  int32_t body) {
  segment->add({src + f.scale_at, scale, 1, 2});
  for (const PackField& field : f.body) {
    segment->add({src + field.src, body + field.dst, field.count, field.size});
  }
}

Layout paired_layout(const PairedFormat& f, int64_t cols) {
  Layout layout;
  const int64_t n = cols / f.block_elems;
  const int32_t pair_bytes = kLine + 2 * f.body_bytes;
  if (n >= 2) {
    Segment pairs{0, 0, n / 2, 2 * f.block_bytes, pair_bytes};
    append_block(&pairs, f, 0, 0, kLine);
    append_block(&pairs, f, f.block_bytes, kHalfLine, kLine + f.body_bytes);
    layout.add(pairs);
  }
  if (n % 2 == 1) {
    Segment last{(n - 1) * f.block_bytes, n / 2 * pair_bytes, 1, f.block_bytes,
                 f.body_bytes + kHalfLine};
    append_block(&last, f, 0, f.body_bytes, 0);
    layout.add(last);
  }
  return layout;
}

Layout single_layout(std::initializer_list<PackField> fields, int64_t n_blocks, int64_t src_bytes,
                     int64_t dst_bytes) {
  Segment segment{0, 0, n_blocks, src_bytes, dst_bytes};
  for (const PackField& field : fields) segment.add(field);
  Layout layout;
  layout.add(segment);
  return layout;
}

constexpr PackField kQ4_0Fields[] = {{2, 0, 4, 4}};
constexpr PackField kQ8_0Fields[] = {{2, 0, 8, 4}};
constexpr PackField kQ6_KFields[] = {{192, 0, 4, 4}, {0, kQ6_KLow, 32, 4}, {128, kQ6_KHigh, 16, 4}};

// The layout of r16.h for one row of `cols`.
Layout layout_for(int type, int64_t cols) {
  const auto count = static_cast<int32_t>(cols);
  switch (type) {
    case kF32:
      return single_layout({{0, 0, count, 4}}, 1, 4 * cols, kLine * cols);
    case kF16:
    case kBF16:
      return single_layout({{0, 0, count, 2}}, 1, 2 * cols, kHalfLine * cols);
    case kQ4_0:
      return paired_layout({32, 18, 0, kQ4_0Body, kQ4_0Fields}, cols);
    case kQ8_0: {
      Layout layout = paired_layout({32, 34, 0, kQ8_0Body, kQ8_0Fields}, cols);
      layout.flip = 0x80808080u;
      return layout;
    }
    case kQ4_K:
      return single_layout({{0, 0, 2, 2}, {4, kQ4_KScales, 3, 4}, {16, kQ4_KQuants, 32, 4}},
                           cols / 256, 144, kQ4_KBlock);
    case kQ5_K:
      return single_layout(
          {{0, 0, 2, 2}, {4, kQ4_KScales, 3, 4}, {16, kQ5_KHigh, 8, 4}, {48, kQ5_KQuants, 32, 4}},
          cols / 256, 176, kQ5_KBlock);
    case kQ6_K:
      return paired_layout({256, 210, 208, kQ6_KBody, kQ6_KFields}, cols);
    default:
      return {};
  }
}

int64_t round_up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

PackArgs segment_args(const Layout& layout, const Segment& s, const uint8_t* rows,
                      int64_t row_bytes, uint8_t* tile) {
  return {s.fields.data(),   s.n_fields, layout.flip,         rows + s.src_offset, row_bytes,
          s.src_block_bytes, s.n_blocks, tile + s.dst_offset, s.dst_block_bytes};
}

// Lanes [lane, lane + rows) of a packed segment back to the file's bytes.
void unpack_segment(const Layout& layout, const Segment& s, const uint8_t* tile, int64_t lane,
                    int64_t rows, uint8_t* out, int64_t row_bytes) {
  const uint32_t flip = layout.flip;
  for (int64_t block = 0; block < s.n_blocks; ++block) {
    for (const PackField& f : std::span(s.fields.data(), static_cast<size_t>(s.n_fields))) {
      const uint8_t* lines = tile + s.dst_offset + block * s.dst_block_bytes + f.dst;
      uint8_t* dst = out + s.src_offset + block * s.src_block_bytes + f.src;
      for (int64_t row = 0; row < rows; ++row) {
        for (int64_t i = 0; i < f.count; ++i) {
          uint32_t element = 0;
          std::memcpy(&element, lines + (i * kTileRows + lane + row) * f.size,
                      static_cast<size_t>(f.size));
          if (f.size == 4) element ^= flip;
          std::memcpy(dst + row * row_bytes + i * f.size, &element, static_cast<size_t>(f.size));
        }
      }
    }
  }
}

// Rows [lane, lane + rows) of one tile back to the file's bytes.
void unpack_rows(const PackedTensor& t, int64_t tile, int64_t lane, int64_t rows, uint8_t* out) {
  const Layout layout = layout_for(t.type, t.cols);
  const int64_t row_bytes = packed_row_bytes(t);
  const uint8_t* data = t.data + tile * t.tile_bytes;
  if (layout.n_segments == 0)
    std::memcpy(out, data + lane * row_bytes, static_cast<size_t>(rows * row_bytes));
  for (const Segment& s : layout.segments())
    unpack_segment(layout, s, data, lane, rows, out, row_bytes);
}

}  // namespace

ActKind act_kind(int type) {
  switch (type) {
    case kQ4_0:
    case kQ8_0:
      return kActQ8x32;
    case kQ4_K:
    case kQ5_K:
    case kQ6_K:
      return kActQ8x128;
    default:
      return kActF32;
  }
}

ActLayout act_layout(ActKind kind, int64_t cols, int64_t n_tokens) {
  const auto blocks = [&](size_t block_bytes) -> ActLayout {
    const auto bytes = static_cast<int64_t>(block_bytes);
    return {bytes, bytes * n_tokens, round_up(bytes * n_tokens * ((cols + 255) / 256), kActAlign)};
  };
  switch (kind) {
    case kActQ8x32:
      return blocks(sizeof(ActBlock8x32));
    case kActQ8x128:
      return blocks(sizeof(ActBlock256));
    default: {
      const int64_t row = round_up(4 * cols, kActAlign);
      return {row, row, row * n_tokens};
    }
  }
}

int64_t packed_row_bytes(const PackedTensor& w) { return format_row_bytes(w.type, w.cols); }

void decode_columns(int type, const uint8_t* row, int64_t k0, int64_t n, float* out) {
  const FormatInfo* format = format_info(type);
  format->dequantize_row(row + k0 / format->block_elems * format->block_bytes, out, n);
}

int64_t packed_tile_bytes(int type, int64_t cols) {
  const int64_t row_bytes = format_row_bytes(type, cols);
  // Gathers address 16 rows with 32-bit offsets.
  if (row_bytes <= 0 || row_bytes > INT32_MAX / kTileRows) return -1;
  return round_up(kTileRows * row_bytes, kActAlign);
}

int64_t packed_bytes(int type, int64_t rows, int64_t cols) {
  const int64_t tile = packed_tile_bytes(type, cols);
  int64_t total = 0;
  if (tile < 0 || rows <= 0 || rows > INT64_MAX - kTileRows) return -1;
  if (__builtin_mul_overflow(tile, (rows + kTileRows - 1) / kTileRows, &total)) return -1;
  return total;
}

void pack_tiles(const PackedTensor& t, const uint8_t* src, int64_t tile_begin, int64_t tile_end) {
  const Layout layout = layout_for(t.type, t.cols);
  const int64_t row_bytes = packed_row_bytes(t);
  for (int64_t tile = tile_begin; tile < tile_end; ++tile) {
    const int64_t rows = std::min(kTileRows, t.rows - tile * kTileRows);
    const uint8_t* file_rows = src + tile * kTileRows * row_bytes;
    uint8_t* data = t.data + tile * t.tile_bytes;
    std::vector<uint8_t> padded;
    if (rows < kTileRows) {
      padded.assign(static_cast<size_t>(kTileRows * row_bytes), 0);
      std::memcpy(padded.data(), file_rows, static_cast<size_t>(rows * row_bytes));
      file_rows = padded.data();
    }
    if (layout.n_segments == 0)
      std::memcpy(data, file_rows, static_cast<size_t>(kTileRows * row_bytes));
    for (const Segment& s : layout.segments()) {
      const PackArgs args = segment_args(layout, s, file_rows, row_bytes, data);
      kernels().pack_tile(&args);
    }
  }
}

void unpack_tiles(const PackedTensor& t, uint8_t* dst, int64_t tile_begin, int64_t tile_end) {
  for (int64_t tile = tile_begin; tile < tile_end; ++tile) {
    const int64_t rows = std::min(kTileRows, t.rows - tile * kTileRows);
    unpack_rows(t, tile, 0, rows, dst + tile * kTileRows * packed_row_bytes(t));
  }
}

void dequantize_packed_row(const PackedTensor& t, int64_t row, uint8_t* file_row, float* out) {
  unpack_rows(t, row / kTileRows, row % kTileRows, 1, file_row);
  format_info(t.type)->dequantize_row(file_row, out, t.cols);
}

}  // namespace pyllm
