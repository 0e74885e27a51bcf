// Packing, activation quantization and matrix multiplication of every weight type.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

#include "codebooks.h"
#include "compare.h"
#include "formats.h"
#include "packing.h"
#include "samples.h"

namespace pyllm_test {
namespace {

using pyllm::FormatInfo;

struct AlignedBytes {
  explicit AlignedBytes(int64_t n)
      : size(static_cast<size_t>(n)),
        data(static_cast<uint8_t*>(::operator new(size + 64, std::align_val_t(64)))) {
    std::memset(data, 0, size + 64);
  }
  AlignedBytes(const AlignedBytes&) = delete;
  AlignedBytes& operator=(const AlignedBytes&) = delete;
  ~AlignedBytes() { ::operator delete(data, std::align_val_t(64)); }
  std::vector<uint8_t> copy() const { return {data, data + size}; }

  size_t size;
  uint8_t* data;
};

struct Weights {
  const FormatInfo* format;
  int64_t rows, cols;
  std::vector<uint8_t> file;

  std::string shape() const {
    return std::string(format->name) + " [" + std::to_string(rows) + ", " + std::to_string(cols) +
           "]";
  }
};

// Where the 16-bit scales of a block lie, for the types that are multiplied as integers.
std::vector<int> scale_offsets(const std::string& name) {
  if (name == "Q4_K" || name == "Q5_K" || name == "Q4_1" || name == "Q5_1") return {0, 2};
  if (name == "MXFP4") return {};  // any byte is a power of two
  if (name == "Q6_K") return {208};
  if (name == "Q3_K") return {108};
  if (name == "Q2_K") return {80, 82};
  if (name == "IQ1_M") return {};  // the nibbles of its scale lie apart
  if (name == "TQ1_0") return {52};
  if (name == "TQ2_0") return {64};
  return {0};
}

int64_t row_bytes(const FormatInfo& f, int64_t cols) {
  return cols / f.block_elems * f.block_bytes;
}

// Random values through the encoder; types without one get random bytes.
Weights random_weights(const FormatInfo& f, int64_t rows, int64_t cols, Random* random) {
  Weights w{&f, rows, cols, std::vector<uint8_t>(static_cast<size_t>(rows * row_bytes(f, cols)))};
  if (f.quantize_row == nullptr) {
    for (uint8_t& byte : w.file) byte = random->byte();
    return w;
  }
  for (int64_t row = 0; row < rows; ++row) {
    const std::vector<float> x = random->reals(cols, 0.01f * static_cast<float>(1 + row % 7));
    f.quantize_row(x.data(), w.file.data() + row * row_bytes(f, cols), cols);
  }
  return w;
}

// Every byte the same except that the scales are 1: largest and smallest codes meet in one sum.
Weights extreme_weights(const FormatInfo& f, int64_t rows, int64_t cols, uint8_t byte) {
  Weights w{&f, rows, cols,
            std::vector<uint8_t>(static_cast<size_t>(rows * row_bytes(f, cols)), byte)};
  for (size_t block = 0; block < w.file.size(); block += static_cast<size_t>(f.block_bytes)) {
    for (const int offset : scale_offsets(f.name)) {
      const uint16_t one = 0x3c00;
      std::memcpy(w.file.data() + block + static_cast<size_t>(offset), &one, sizeof one);
    }
  }
  return w;
}

struct Packed {
  explicit Packed(const Weights& w)
      : memory(pyllm::packed_bytes(w.format->id, w.rows, w.cols)),
        tensor{w.format->id, w.rows, w.cols, pyllm::packed_tile_bytes(w.format->id, w.cols),
               memory.data} {
    pyllm::pack_tiles(tensor, w.file.data(), 0, n_tiles());
  }
  int64_t n_tiles() const { return (tensor.rows + 15) / 16; }

  AlignedBytes memory;
  pyllm::PackedTensor tensor;
};

// The activations of all tokens, quantized by the active table.
std::vector<uint8_t> quantized(int type, const std::vector<float>& x, int64_t cols) {
  const pyllm::ActKind kind = pyllm::act_kind(type);
  const int64_t n_tokens = static_cast<int64_t>(x.size()) / cols;
  const pyllm::ActLayout layout = pyllm::act_layout(kind, cols, n_tokens);
  AlignedBytes act(layout.bytes);
  for (int64_t t = 0; t < n_tokens; ++t)
    pyllm::kernels().quantize_act(kind, x.data() + t * cols, cols,
                                  act.data + t * layout.token_stride, layout.block_stride);
  return act.copy();
}

// Tiles [first_tile, end) with every table's own packing and activations. The result has columns
// that no row belongs to: they must stay as they were.
std::vector<float> multiply(const Weights& w, const std::vector<float>& x, int64_t first_tile) {
  const Packed packed(w);
  const int type = w.format->id;
  const int64_t n_tokens = static_cast<int64_t>(x.size()) / w.cols;
  const pyllm::ActLayout layout = pyllm::act_layout(pyllm::act_kind(type), w.cols, n_tokens);
  const std::vector<uint8_t> bytes = quantized(type, x, w.cols);
  AlignedBytes act(layout.bytes);
  std::memcpy(act.data, bytes.data(), bytes.size());
  const int64_t ldy = w.rows - 16 * first_tile + 3;
  std::vector<float> y(static_cast<size_t>(n_tokens * ldy), -7.0f);
  const pyllm::MatmulArgs args{
      &packed.tensor,      first_tile, packed.n_tiles(), act.data, layout.token_stride,
      layout.block_stride, n_tokens,   y.data(),         ldy};
  pyllm::kernels().matmul(&args);
  return y;
}

void fill_codebooks(Random* random) {
  int count = 0;
  const FormatInfo* formats = pyllm::all_formats(&count);
  for (int i = 0; i < count; ++i) {
    const int64_t n = pyllm::codebook_size(formats[i].id);
    if (n == 0 || pyllm::codebook_is_set(formats[i].id)) continue;
    const bool ternary = std::strncmp(formats[i].name, "IQ1", 3) == 0;
    const int64_t largest = ternary ? 1 : 63;
    std::vector<int8_t> values(static_cast<size_t>(n));
    for (int8_t& v : values) v = static_cast<int8_t>(random->below(2 * largest + 1) - largest);
    pyllm::set_codebook(formats[i].id, values.data(), n);
  }
}

std::vector<int64_t> column_counts(const FormatInfo& f) {
  if (f.block_elems == 1) return {1, 19, 300};
  const int64_t unit = f.block_elems;
  if (unit < 256) return {unit, 2 * unit, 3 * unit, 256 + 5 * unit};
  return {unit, 2 * unit, 3 * unit};
}

void compare_type(const FormatInfo& f, Random* random, Comparison* comparison) {
  for (const int64_t cols : column_counts(f)) {
    const Weights w = random_weights(f, 37, cols, random);
    comparison->check(w.shape() + " packed", [&] { return Packed(w).memory.copy(); });
    for (const int64_t n_tokens : {1, 2, 3, 4, 5, 6, 7, 8, 13}) {
      const std::vector<float> x = random->reals(n_tokens * cols);
      comparison->check(w.shape() + " x " + std::to_string(n_tokens),
                        [&] { return multiply(w, x, 0); });
    }
    const std::vector<float> x = random->reals(3 * cols);
    comparison->check(w.shape() + " from tile 1", [&] { return multiply(w, x, 1); });
  }
}

void compare_extremes(const FormatInfo& f, Comparison* comparison) {
  const int64_t cols = 2 * std::max(f.block_elems, 32);
  for (const int byte : {0x00, 0x7f, 0x80, 0xff}) {
    const Weights w = extreme_weights(f, 16, cols, static_cast<uint8_t>(byte));
    for (const float value : {1.0f, -1.0f}) {
      const std::vector<float> x(static_cast<size_t>(9 * cols), value);
      comparison->check(w.shape() + " of bytes " + std::to_string(byte),
                        [&] { return multiply(w, x, 0); });
    }
  }
}

void compare_activations(int type, const std::string& label, const std::vector<float>& x,
                         Comparison* comparison) {
  const auto cols = static_cast<int64_t>(x.size());
  comparison->check(label + " quantized", [&] { return quantized(type, x, cols); });
}

}  // namespace

void compare_packing(Comparison* comparison) {
  Random random(1);
  int count = 0;
  const FormatInfo* formats = pyllm::all_formats(&count);
  for (int i = 0; i < count; ++i) {
    const int type = formats[i].id;
    if (pyllm::act_kind(type) == pyllm::kActF32) continue;
    const std::string name = formats[i].name;
    for (const float scale : {1.0f, 1e-20f, 1e-32f, 1e-42f, 1e30f})
      compare_activations(type, name + " activations", random.reals(1024, scale), comparison);
    compare_activations(type, name + " special activations", special_row(1024), comparison);
    compare_activations(type, name + " zeros", std::vector<float>(512, -0.0f), comparison);
    std::vector<float> ties(512);  // halves after scaling by 127.49 / 127.49
    for (size_t j = 0; j < ties.size(); ++j) ties[j] = static_cast<float>(j % 254) - 126.5f;
    ties[0] = 127.49f;
    compare_activations(type, name + " ties", ties, comparison);
  }
}

void compare_matmul(Comparison* comparison) {
  Random random(2);
  fill_codebooks(&random);
  int count = 0;
  const FormatInfo* formats = pyllm::all_formats(&count);
  for (int i = 0; i < count; ++i) {
    compare_type(formats[i], &random, comparison);
    if (pyllm::act_kind(formats[i].id) != pyllm::kActF32) compare_extremes(formats[i], comparison);
  }
}

}  // namespace pyllm_test
