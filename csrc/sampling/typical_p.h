// Locally typical sampling (Meister et al. 2022).
#ifndef PYLLM_CSRC_SAMPLING_TYPICAL_P_H_
#define PYLLM_CSRC_SAMPLING_TYPICAL_P_H_

#include "sampling/entropy.h"
#include "sampling/mass.h"

namespace pyllm {

// How far a token's surprise lies from the entropy.
inline float shift_of(const Surprise& surprise, float logit) {
  return static_cast<float>(std::abs(surprise.of(logit) - surprise.entropy));
}

// candidates [0, n) become the tokens of the whole vocabulary that are shifted by at most `reach`.
inline int64_t collect_typical(const Selection& s, const Surprise& surprise, float reach) {
  int64_t n = 0;
  s.for_each([&](int64_t, const Candidate& token) {
    if (token.logit > -kInf && shift_of(surprise, token.logit) <= reach)
      s.candidates()[n++] = token;
  });
  return n;
}

// Sorts candidates [0, n) by shift; returns how many of them exceed the share `p` of probability.
inline int64_t count_typical(Candidate* candidates, int64_t n, const Surprise& surprise, double p,
                             int64_t min_keep) {
  std::sort(candidates, candidates + n, [&](const Candidate& a, const Candidate& b) {
    const float shift_a = shift_of(surprise, a.logit), shift_b = shift_of(surprise, b.logit);
    return shift_a < shift_b || (shift_a == shift_b && is_better(a, b));
  });
  int64_t kept = 0;
  for (double reached = 0.0; kept < n; ++kept) {
    if (reached > p && kept >= min_keep) break;
    reached += surprise.probability(candidates[kept].logit);
  }
  return kept;
}

// Of a whole vocabulary only those tokens are sorted that lie within the distance that holds `p`.
inline int64_t count_typical_of_all(Selection* s, const Surprise& surprise, double p,
                                    int64_t min_keep) {
  MassByDistance masses;
  s->for_each([&](int64_t i, const Candidate& token) {
    masses.add(shift_of(surprise, token.logit), s->terms()[i]);
  });
  const float near = masses.reach(p * std::exp(surprise.log_total));
  for (float reach = near < 0.0f || min_keep > 0 ? kInf : near;; reach = kInf) {
    const int64_t n = collect_typical(*s, surprise, reach);
    const int64_t kept = count_typical(s->candidates(), n, surprise, p, min_keep);
    if (kept < n || reach == kInf) return kept;
  }
}

// Keeps the tokens whose surprise is nearest to the entropy until they hold more than the share `p`
// of probability, and at least `min_keep`.
inline void apply_typical_p(Selection* s, double p, int64_t min_keep) {
  if (p >= 1.0) return;
  const Surprise surprise = surprise_of(s);
  const int64_t kept = s->whole() ? count_typical_of_all(s, surprise, p, min_keep)
                                  : count_typical(s->candidates(), s->n(), surprise, p, min_keep);
  s->become(kept);
  std::sort(s->candidates(), s->candidates() + kept, is_better);
}

}  // namespace pyllm

#endif  // PYLLM_CSRC_SAMPLING_TYPICAL_P_H_
