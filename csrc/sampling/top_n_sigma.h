// Top-n-sigma sampling (Tang et al. 2024): does not depend on the temperature.
#ifndef PYLLM_CSRC_SAMPLING_TOP_N_SIGMA_H_
#define PYLLM_CSRC_SAMPLING_TOP_N_SIGMA_H_

#include "sampling/selection.h"

namespace pyllm {

// Of the logits that are left; forbidden tokens do not count.
inline double standard_deviation(const Selection& s) {
  double count = 0.0, sum = 0.0, squares = 0.0;
  s.for_each([&](int64_t, const Candidate& token) {
    if (token.logit <= kNever) return;
    count += 1.0;
    sum += token.logit;
  });
  const double mean = sum / std::max(count, 1.0);
  s.for_each([&](int64_t, const Candidate& token) {
    if (token.logit > kNever) squares += (token.logit - mean) * (token.logit - mean);
  });
  return std::sqrt(squares / std::max(count, 1.0));
}

// Keeps tokens within `n_sigma` standard deviations of the largest logit.
inline void apply_top_n_sigma(Selection* s, float n_sigma) {
  if (n_sigma <= 0.0f || (!s->whole() && s->n() <= 1)) return;
  const double sigma = standard_deviation(*s);
  s->keep_from(std::max(kLowest, static_cast<float>(s->max() - n_sigma * sigma)));
}

}  // namespace pyllm

#endif  // PYLLM_CSRC_SAMPLING_TOP_N_SIGMA_H_
