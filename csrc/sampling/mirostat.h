// Mirostat (Basu et al. 2020): truncation that steers the surprise of each token, in bits, to
// `tau`. mu, the state, is in the hands of the caller; a sequence starts with 2 tau.
#ifndef PYLLM_CSRC_SAMPLING_MIROSTAT_H_
#define PYLLM_CSRC_SAMPLING_MIROSTAT_H_

#include "sampling/selection.h"

namespace pyllm {

// Version 1 estimates the exponent of Zipf's law from the best 100 tokens and takes from it how
// many to keep.
inline void apply_mirostat_v1(Selection* s, float mu) {
  constexpr int64_t kEstimatedFrom = 100;
  const auto n_vocab = static_cast<double>(s->size());
  Selection best = *s;
  best.keep_best(kEstimatedFrom);
  double products = 0.0, squares = 0.0;
  for (int64_t i = 0; i + 1 < best.n(); ++i) {
    const double t = std::log(static_cast<double>(i + 2) / static_cast<double>(i + 1));
    const float step = best.candidates()[i].logit - best.candidates()[i + 1].logit;
    products += t * step * s->scale();
    squares += t * t;
  }
  if (squares == 0.0) return s->keep_best(1);
  const double exponent = products / squares, excess = exponent - 1.0;
  const double k =
      std::pow(excess * std::exp2(static_cast<double>(mu)) / (1.0 - std::pow(n_vocab, -excess)),
               1.0 / exponent);
  // Not a number when excess is 0, or when all of the best are equally likely.
  const double wanted = std::isnan(k) ? n_vocab : std::clamp(k, 1.0, n_vocab);
  s->keep_best(static_cast<int64_t>(wanted));
}

// Version 2 keeps the tokens whose surprise is at most mu bits.
inline void apply_mirostat_v2(Selection* s, float mu) {
  const double least = s->total_weight() * std::exp2(-static_cast<double>(mu));
  Selection kept = *s;
  kept.keep_from(s->floor_of(least));
  if (kept.n() == 0) return s->keep_best(1);
  kept.weigh();
  int64_t n = kept.n();
  while (n > 1 && kept.terms()[n - 1] < least) --n;
  s->become(n);
}

// mu after a token of the selection with this weight was drawn.
inline float next_mu(float mu, float tau, float eta, double weight, double total) {
  const double surprise = -std::log2(weight / total);
  return static_cast<float>(mu - eta * (surprise - tau));
}

}  // namespace pyllm

#endif  // PYLLM_CSRC_SAMPLING_MIROSTAT_H_
