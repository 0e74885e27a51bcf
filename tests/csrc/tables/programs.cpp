// The functions of a table that work on rows of floats.
#include <algorithm>

#include "compare.h"
#include "samples.h"

namespace pyllm_test {
namespace {

using Floats = std::vector<float>;

constexpr int64_t kSizes[] = {1, 3, 15, 16, 17, 31, 48, 63, 64, 65, 127, 128, 200, 515};

Floats joined(std::initializer_list<Floats> parts) {
  Floats all;
  for (const Floats& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

std::string sized(const char* name, int64_t n) {
  return std::string(name) + " " + std::to_string(n);
}

void compare_norm(int64_t n, Random* random, Comparison* comparison) {
  const Floats x = random->reals(n, 3.0f), w = random->reals(n);
  comparison->check(sized("rms_norm", n), [&] {
    Floats y(x.size() + 1, 5.0f);
    pyllm::kernels().rms_norm(x.data(), w.data(), y.data(), n, 1e-5f);
    return y;
  });
}

void compare_silu(const Floats& gate, Random* random, Comparison* comparison) {
  const auto n = static_cast<int64_t>(gate.size());
  const Floats up = random->reals(n, 2.0f);
  comparison->check(sized("silu_mul", n), [&] {
    Floats y(gate.size() + 1, 5.0f);
    pyllm::kernels().silu_mul(gate.data(), up.data(), y.data(), n);
    return y;
  });
}

void compare_gate(int64_t n, Random* random, Comparison* comparison) {
  const Floats x = random->reals(n), w = random->reals(n, 0.3f), y = random->reals(n + 7);
  comparison->check(sized("sigmoid_gate", n), [&] {
    Floats out(y.size() + 1, 5.0f);
    pyllm::kernels().sigmoid_gate(x.data(), w.data(), n, y.data(), out.data(), n + 7);
    return out;
  });
}

void compare_weighted_sum(int64_t n, Random* random, Comparison* comparison) {
  const Floats rows = random->reals(5 * n), weights = random->reals(3), base = random->reals(n);
  const std::vector<int32_t> places = {4, 0, 3};
  for (const float* added : {static_cast<const float*>(nullptr), base.data()}) {
    comparison->check(sized("weighted_sum", n), [&] {
      Floats y(base.size() + 1, 5.0f);
      pyllm::kernels().weighted_sum(rows.data(), n, places.data(), weights.data(), 3, added,
                                    y.data(), n);
      return y;
    });
  }
}

void compare_rope(int64_t n_pairs, int64_t n, Random* random, Comparison* comparison) {
  const Floats x = random->reals(n), cosines = random->reals(n_pairs);
  const Floats sines = random->reals(n_pairs);
  for (const bool neox : {false, true}) {
    comparison->check(sized(neox ? "rope neox" : "rope", n), [&] {
      Floats y(x.size() + 1, 5.0f);
      pyllm::kernels().rope(x.data(), cosines.data(), sines.data(), y.data(), n_pairs, n, neox);
      return y;
    });
  }
}

void compare_kv_store(const Floats& x, Comparison* comparison) {
  const auto n = static_cast<int64_t>(x.size());
  for (const auto type : {pyllm::kKvF16, pyllm::kKvBf16, pyllm::kKvQ8_0, pyllm::kKvQ4_0}) {
    const std::string name = "of type " + std::to_string(type);
    comparison->check(sized(("store_key " + name).c_str(), n), [&] {
      std::vector<uint16_t> panel(static_cast<size_t>(pyllm::kv_key_panel(type, n) + 1), 0x1111);
      pyllm::kernels().store_key(type, x.data(), n, panel.data(), 5);
      return panel;
    });
    comparison->check(sized(("store_value " + name).c_str(), n), [&] {
      std::vector<uint16_t> panel(static_cast<size_t>(pyllm::kv_value_panel(type, n) + 1), 0x2222);
      pyllm::kernels().store_value(type, x.data(), n, panel.data(), 15);
      return panel;
    });
  }
}

void compare_logits(const Floats& x, Comparison* comparison) {
  const auto n = static_cast<int64_t>(x.size());
  comparison->check(sized("row_max", n), [&] {
    bool finite = false;
    const float max = pyllm::kernels().row_max(x.data(), n, &finite);
    return Floats{finite ? max : 0.0f, finite ? 1.0f : 0.0f};  // the maximum means nothing else
  });
  comparison->check(sized("exp_sum", n), [&] {
    Floats terms(x.size() + 1, 5.0f);
    const float sum = pyllm::kernels().exp_sum(x.data(), n, 1.5f, 0.8f, terms.data());
    const float alone = pyllm::kernels().exp_sum(x.data(), n, 1.5f, 0.8f, nullptr);
    return joined({terms, {sum, alone}});
  });
  comparison->check(sized("tile_max", n), [&] {
    Floats maxima(static_cast<size_t>((n + 15) / 16) + 1, 5.0f);
    pyllm::kernels().tile_max(x.data(), n, maxima.data());
    const bool finite = std::none_of(maxima.begin(), maxima.end(), [](float m) { return m != m; });
    return finite ? maxima : Floats{0.0f};  // the others mean nothing then
  });
}

}  // namespace

void compare_programs(Comparison* comparison) {
  Random random(3);
  for (const int64_t n : kSizes) {
    compare_norm(n, &random, comparison);
    compare_silu(random.reals(n, 30.0f), &random, comparison);
    compare_gate(n, &random, comparison);
    compare_weighted_sum(n, &random, comparison);
    compare_kv_store(random.reals(n), comparison);
    compare_logits(random.reals(n, 20.0f), comparison);
  }
  compare_silu(special_row(61), &random, comparison);
  compare_kv_store(special_row(61), comparison);
  compare_kv_store(special_row(45), comparison);
  compare_logits(special_row(61), comparison);
  compare_logits(special_row(640), comparison);
  compare_rope(32, 64, &random, comparison);
  compare_rope(7, 19, &random, comparison);
}

}  // namespace pyllm_test
