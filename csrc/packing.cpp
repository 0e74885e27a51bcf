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

// A run of equal blocks (or groups of blocks) in a row, and how its fields move. Plain arrays:
// looking up one embedding row builds a layout, and a step allocates nothing.
struct Segment {
  int64_t src_offset = 0, dst_offset = 0;
  int64_t n_blocks = 0, src_block_bytes = 0, dst_block_bytes = 0;
  int n_fields = 0;
  std::array<PackField, 8> fields{};  // a group of four MXFP4 blocks fills them

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

// Blocks with one small scale and a body of whole lines: groups of them share a line for their
// scales (see r16.h).
struct GroupedFormat {
  int block_elems;
  int32_t block_bytes, scale_at, scale_size, body_bytes;
  std::span<const PackField> body;  // offsets inside the file block and inside the packed body
};

// `count` blocks from file offset 0, scales at `scales` and bodies at `bodies` of the packed group.
void append_blocks(Segment* segment, const GroupedFormat& f, int32_t count, int32_t scales,
                   int32_t bodies) {
  for (int32_t i = 0; i < count; ++i) {
    const int32_t src = i * f.block_bytes;
    const auto rows = static_cast<int32_t>(kTileRows);
    segment->add({src + f.scale_at, scales + i * rows * f.scale_size, 1, f.scale_size});
    for (const PackField& field : f.body) {
      segment->add({src + field.src, bodies + i * f.body_bytes + field.dst, field.count, field.size,
                    field.how});
    }
  }
}

Layout grouped_layout(const GroupedFormat& f, int64_t cols) {
  Layout layout;
  const int64_t n = cols / f.block_elems;
  const auto scale_bytes = static_cast<int32_t>(kTileRows) * f.scale_size;
  const int32_t group = kLine / scale_bytes, packed_bytes = kLine + group * f.body_bytes;
  if (n >= group) {
    Segment groups{0, 0, n / group, group * f.block_bytes, packed_bytes};
    append_blocks(&groups, f, group, 0, kLine);
    layout.add(groups);
  }
  if (const auto left = static_cast<int32_t>(n % group); left > 0) {
    Segment last{(n - left) * f.block_bytes, n / group * packed_bytes, 1, left * f.block_bytes,
                 left * (f.body_bytes + scale_bytes)};
    append_blocks(&last, f, left, left * f.body_bytes, 0);
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
constexpr PackField kQ5_0Fields[] = {{2, 0, 1, 4, Packing::kBitPlanes}, {6, kLine, 4, 4}};
constexpr PackField kQ8_0Fields[] = {{2, 0, 8, 4}};
constexpr PackField kQ3_KFields[] = {{0, 0, 8, 4}, {32, kQ3_KLow, 16, 4}, {96, kQ3_KScales, 3, 4}};
constexpr PackField kQ6_KFields[] = {{192, 0, 4, 4}, {0, kQ6_KQuants, 48, 4, Packing::kSixBits}};
constexpr PackField kMXFP4Fields[] = {{1, 0, 4, 4}};

// The layout of r16.h for one row of `cols`.
Layout layout_for(int type, int64_t cols) {
  const auto count = static_cast<int32_t>(cols);
  const auto singles = [&](std::initializer_list<PackField> fields, int64_t packed_bytes) {
    const FormatInfo* f = format_info(type);
    return single_layout(fields, cols / f->block_elems, f->block_bytes, packed_bytes);
  };
  switch (type) {
    case kF32:
      return single_layout({{0, 0, count, 4}}, 1, 4 * cols, kLine * cols);
    case kF16:
    case kBF16:
      return single_layout({{0, 0, count, 2}}, 1, 2 * cols, kHalfLine * cols);
    case kQ4_0:
    case kIQ4_NL:
      return grouped_layout({32, 18, 0, 2, kQ4_0Body, kQ4_0Fields}, cols);
    case kQ4_1:
      return singles({{0, 0, 2, 2}, {4, kLine, 4, 4}}, kQ4_1Block);
    case kQ5_0:
      return grouped_layout({32, 22, 0, 2, kQ5_0Body, kQ5_0Fields}, cols);
    case kQ5_1:
      return singles({{0, 0, 2, 2}, {4, kLine, 1, 4, Packing::kBitPlanes}, {8, 2 * kLine, 4, 4}},
                     kQ5_1Block);
    case kQ8_0: {
      Layout layout = grouped_layout({32, 34, 0, 2, kQ8_0Body, kQ8_0Fields}, cols);
      layout.flip = 0x80808080u;
      return layout;
    }
    case kMXFP4:
      return grouped_layout({32, 17, 0, 1, kMXFP4Body, kMXFP4Fields}, cols);
    case kQ2_K:
      return singles({{80, 0, 2, 2}, {0, kQ2_KScales, 4, 4}, {16, kQ2_KQuants, 16, 4}}, kQ2_KBlock);
    case kQ3_K:
      return grouped_layout({256, 110, 108, 2, kQ3_KBody, kQ3_KFields}, cols);
    case kQ4_K:
      return singles({{0, 0, 2, 2}, {4, kQ4_KScales, 3, 4}, {16, kQ4_KQuants, 32, 4}}, kQ4_KBlock);
    case kQ5_K:
      return singles(
          {{0, 0, 2, 2}, {4, kQ4_KScales, 3, 4}, {16, kQ5_KHigh, 8, 4}, {48, kQ5_KQuants, 32, 4}},
          kQ5_KBlock);
    case kQ6_K:
      return grouped_layout({256, 210, 208, 2, kQ6_KBody, kQ6_KFields}, cols);
    case kIQ4_XS:
      return singles({{0, 0, 2, 2}, {4, kIQ4_XSScales, 1, 4}, {8, kIQ4_XSQuants, 32, 4}},
                     kIQ4_XSBlock);
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

// The inverse of Packing::kBitPlanes: bit g of byte b is bit 4g + b of the file.
uint32_t file_bits(uint32_t planes) {
  uint32_t bits = 0;
  for (uint32_t i = 0; i < 32; ++i) bits |= (planes >> (i % 4 * 8 + i / 4) & 1u) << i;
  return bits;
}

// The inverse of Packing::kSixBits for one lane: 48 lines to Q6_K's 128 bytes of nibbles and 64 of
// high bits.
void unpack_six_bits(const uint8_t* lines, int64_t lane, uint8_t* out) {
  constexpr uint32_t kOnes = 0x01010101;
  const auto load = [&](int line) {
    uint32_t element = 0;
    std::memcpy(&element, lines + kLine * line + 4 * lane, sizeof element);
    return element;
  };
  const auto store = [&](int at, uint32_t element) {
    std::memcpy(out + at, &element, sizeof element);
  };
  for (int sixteen = 0; sixteen < 4; ++sixteen) {
    const int half = sixteen / 2, part = sixteen % 2;
    uint32_t quants[4][4];  // [quarter][line]
    for (int quarter = 0; quarter < 4; ++quarter) {
      const int first = 3 * (8 * half + 2 * quarter + part);
      const uint32_t l0 = load(first), l1 = load(first + 1), l2 = load(first + 2);
      quants[quarter][0] = l0 & 63 * kOnes;
      quants[quarter][1] = l1 & 63 * kOnes;
      quants[quarter][2] = l2 & 63 * kOnes;
      quants[quarter][3] = (l0 >> 6 & 3 * kOnes) | (l1 >> 4 & 12 * kOnes) | (l2 >> 2 & 48 * kOnes);
    }
    for (int line = 0; line < 4; ++line) {
      const int at = 16 * part + 4 * line;
      uint32_t low[2], high = 0;
      for (int i = 0; i < 2; ++i)
        low[i] = (quants[i][line] & 15 * kOnes) | (quants[i + 2][line] & 15 * kOnes) << 4;
      for (int quarter = 0; quarter < 4; ++quarter)
        high |= (quants[quarter][line] >> 4 & 3 * kOnes) << 2 * quarter;
      store(64 * half + at, low[0]);
      store(64 * half + 32 + at, low[1]);
      store(128 + 32 * half + at, high);
    }
  }
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
        if (f.how == Packing::kSixBits) {
          unpack_six_bits(lines, lane + row, dst + row * row_bytes);
          continue;
        }
        for (int64_t i = 0; i < f.count; ++i) {
          uint32_t element = 0;
          std::memcpy(&element, lines + (i * kTileRows + lane + row) * f.size,
                      static_cast<size_t>(f.size));
          if (f.size == 4) element ^= flip;
          if (f.how == Packing::kBitPlanes) element = file_bits(element);
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
    case kQ4_1:
    case kQ5_0:
    case kQ5_1:
    case kQ8_0:
    case kIQ4_NL:
    case kMXFP4:
      return kActQ8x32;
    case kQ2_K:
    case kQ3_K:
    case kQ4_K:
    case kQ5_K:
    case kQ6_K:
    case kIQ4_XS:
    case kIQ1_S:
    case kIQ1_M:
    case kIQ2_XXS:
    case kIQ2_XS:
    case kIQ2_S:
    case kIQ3_XXS:
    case kIQ3_S:
    case kTQ1_0:
    case kTQ2_0:
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

void decode_tile_block(int type, const uint8_t* tile, int64_t block, int64_t n_blocks,
                       DecodedBlock (&rows)[kTileRows]) {
  const FormatInfo* format = format_info(type);
  const uint8_t* src = tile + block * format->block_bytes;
  for (DecodedBlock& row : rows) {
    format->decode_block(src, &row);
    src += n_blocks * format->block_bytes;
  }
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
