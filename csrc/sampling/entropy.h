// How surprising the tokens of a selection are.
#ifndef PYLLM_CSRC_SAMPLING_ENTROPY_H_
#define PYLLM_CSRC_SAMPLING_ENTROPY_H_

#include "sampling/selection.h"

namespace pyllm {

// The distribution of a selection as it was when asked, in nats.
struct Surprise {
  float max, scale;
  double log_total;  // log of the sum of all weights
  double entropy;    // mean surprise

  double log_weight(float logit) const { return static_cast<double>(logit - max) * scale; }
  double of(float logit) const { return log_total - log_weight(logit); }
  double probability(float logit) const { return std::exp(-of(logit)); }
};

// Fills terms with the weights.
inline Surprise surprise_of(Selection* s) {
  const double total = s->weigh();
  Surprise surprise{s->max(), s->scale(), std::log(total), 0.0};
  double weighted = 0.0;
  s->for_each([&](int64_t i, const Candidate& token) {
    if (token.logit > kNever) weighted += s->terms()[i] * surprise.log_weight(token.logit);
  });
  surprise.entropy = surprise.log_total - weighted / total;
  return surprise;
}

}  // namespace pyllm

#endif  // PYLLM_CSRC_SAMPLING_ENTROPY_H_
