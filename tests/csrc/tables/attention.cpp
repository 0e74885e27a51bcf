// Attention over one chunk, and the merge of chunks.
#include <algorithm>
#include <utility>

#include "compare.h"
#include "samples.h"

namespace pyllm_test {
namespace {

using Floats = std::vector<float>;

struct Shape {
  int64_t n_rows, k_dim, v_stride;
  pyllm::KvType k_type, v_type;
};

int64_t key_panel(const Shape& s) { return pyllm::kv_key_panel(s.k_type, s.k_dim); }
int64_t value_panel(const Shape& s) { return pyllm::kv_value_panel(s.v_type, s.v_stride); }

// 16 panels of any bytes, which mean something in every type; their f16 scales are finite.
std::vector<uint16_t> random_panels(pyllm::KvType type, int64_t n, int64_t panel, Random* random) {
  std::vector<uint16_t> units = random->halves(16 * panel);
  const int64_t n_scales = pyllm::kv_panel_scales(type, n);
  for (int64_t i = 0; i < 16 * panel; ++i) {
    if (n_scales > 0 && i % panel >= n_scales)
      units[static_cast<size_t>(i)] = static_cast<uint16_t>(random->below(65536));
  }
  return units;
}

Floats attend(const Shape& s, const Floats& q, const std::vector<int32_t>& n_hidden,
              const std::vector<int32_t>& n_visible, const std::vector<uint16_t>& keys,
              const std::vector<uint16_t>& values) {
  const int64_t n_panels = (n_visible.back() + 15) / 16;
  std::vector<const uint16_t*> panels;
  for (int64_t i = 0; i < n_panels; ++i) panels.push_back(keys.data() + i * key_panel(s));
  for (int64_t i = 0; i < n_panels; ++i) panels.push_back(values.data() + i * value_panel(s));
  for (int64_t i = 0; i < pyllm::kPanelsAhead; ++i) panels.push_back(keys.data());
  const auto rows = static_cast<size_t>(s.n_rows);
  Floats scores(rows * pyllm::kAttentionChunk);
  Floats tile(static_cast<size_t>(64 * s.k_dim > 4096 ? 64 * s.k_dim : 4096));
  Floats max(rows), sum(rows), out(rows * static_cast<size_t>(s.v_stride));
  const pyllm::AttentionArgs args{s.k_type,      s.v_type,   s.n_rows,        s.k_dim,
                                  s.v_stride,    q.data(),   n_hidden.data(), n_visible.data(),
                                  panels.data(), n_panels,   scores.data(),   tile.data(),
                                  max.data(),    sum.data(), out.data()};
  pyllm::kernels().attention_chunk(&args);
  Floats seen;  // what belongs to rows that see a token
  for (size_t row = 0; row < rows; ++row) {
    if (n_visible[row] <= n_hidden[row]) continue;
    const auto begin = out.begin() + static_cast<int64_t>(row) * s.v_stride;
    seen.insert(seen.end(), {max[row], sum[row]});
    seen.insert(seen.end(), begin, begin + s.v_stride);
  }
  return seen;
}

void compare_chunk(const Shape& s, Random* random, Comparison* comparison) {
  const Floats q = random->reals(s.n_rows * s.k_dim, 0.5f);
  const auto keys = random_panels(s.k_type, s.k_dim, key_panel(s), random);
  const auto values = random_panels(s.v_type, s.v_stride, value_panel(s), random);
  std::vector<int32_t> n_visible(static_cast<size_t>(s.n_rows));
  for (const auto& [most, window] : {std::pair{1, 1}, {17, 17}, {256, 256}, {256, 1}, {250, 90}}) {
    for (int32_t& n : n_visible) n = static_cast<int32_t>(random->below(most + 1));
    n_visible.back() = static_cast<int32_t>(most);
    std::sort(n_visible.begin(), n_visible.end());
    std::vector<int32_t> n_hidden;
    for (const int32_t n : n_visible) n_hidden.push_back(n > window ? n - window : 0);
    comparison->check("attention of " + std::to_string(s.n_rows) + " rows, " +
                          std::to_string(s.k_dim) + " dimensions, " + std::to_string(most) +
                          " tokens, window " + std::to_string(window) + ", types " +
                          std::to_string(s.k_type) + " " + std::to_string(s.v_type),
                      [&] { return attend(s, q, n_hidden, n_visible, keys, values); });
  }
}

void compare_merge(int64_t n, float max, float next_max, Random* random, Comparison* comparison) {
  const Floats out = random->reals(n), next = random->reals(n);
  comparison->check("attention_merge " + std::to_string(n), [&] {
    Floats result = out;
    float largest = max, sum = 3.5f;
    pyllm::kernels().attention_merge(&largest, &sum, result.data(), next_max, 2.25f, next.data(),
                                     n);
    result.insert(result.end(), {largest, sum});
    return result;
  });
  comparison->check("attention_finish " + std::to_string(n - 3), [&] {
    Floats dst(out.size(), 9.0f);
    pyllm::kernels().attention_finish(out.data(), 3.7f, dst.data(), n - 3);
    return dst;
  });
}

}  // namespace

void compare_attention(Comparison* comparison) {
  Random random(4);
  using pyllm::kKvBf16, pyllm::kKvF16, pyllm::kKvQ4_0, pyllm::kKvQ8_0;
  for (const int64_t n_rows : {1, 2, 3, 4, 5, 6, 7, 13, 64}) {
    for (const auto type : {kKvF16, kKvBf16, kKvQ8_0, kKvQ4_0}) {
      compare_chunk({n_rows, 64, 64, type, type}, &random, comparison);
      compare_chunk({n_rows, 41, 48, type, type}, &random, comparison);
    }
  }
  compare_chunk({8, 128, 128, kKvF16, kKvF16}, &random, comparison);
  compare_chunk({8, 100, 112, kKvQ8_0, kKvQ4_0}, &random, comparison);
  compare_chunk({3, 80, 80, kKvQ4_0, kKvF16}, &random, comparison);
  compare_merge(64, 1.5f, -0.5f, &random, comparison);
  compare_merge(80, -90.0f, 20.0f, &random, comparison);
}

}  // namespace pyllm_test
