// Top-n-sigma sampling (Tang et al. 2024): does not depend on the temperature.
#ifndef PYLLM_CSRC_SAMPLING_TOP_N_SIGMA_H_
#define PYLLM_CSRC_SAMPLING_TOP_N_SIGMA_H_

#include "sampling/selection.h"

namespace pyllm {

// Mean and standard deviation of n logits; `at` gives one. Forbidden tokens do not count. Eight
// accumulators: a single chain of additions would wait four cycles for each.
template <typename At>
double standard_deviation(int64_t n, At at) {
  constexpr int64_t kLanes = 8;
  const auto sum = [&](auto term) {
    double sums[kLanes] = {};
    for (int64_t i = 0; i < n; ++i) sums[i % kLanes] += at(i) > kNever ? term(at(i)) : 0.0;
    double total = 0.0;
    for (const double s : sums) total += s;
    return total;
  };
  const double count = sum([](float) { return 1.0; });
  if (count == 0.0) return 0.0;
  const double mean = sum([](float x) { return static_cast<double>(x); }) / count;
  return std::sqrt(sum([&](float x) { return (x - mean) * (x - mean); }) / count);
}

// Keeps tokens within `n_sigma` standard deviations of the largest logit.
inline void apply_top_n_sigma(Selection* s, float n_sigma) {
  if (n_sigma <= 0.0f || (!s->whole() && s->n() <= 1)) return;
  const double sigma =
      s->whole()
          ? standard_deviation(s->n_vocab(), [&](int64_t i) { return s->scores().values[i]; })
          : standard_deviation(s->n(), [&](int64_t i) { return s->candidates()[i].logit; });
  s->keep_from(std::max(kLowest, static_cast<float>(s->max() - n_sigma * sigma)));
}

}  // namespace pyllm

#endif  // PYLLM_CSRC_SAMPLING_TOP_N_SIGMA_H_
