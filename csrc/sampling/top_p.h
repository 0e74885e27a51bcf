// Nucleus sampling (Holtzman et al. 2019).
#ifndef PYLLM_CSRC_SAMPLING_TOP_P_H_
#define PYLLM_CSRC_SAMPLING_TOP_P_H_

#include "sampling/mass.h"
#include "sampling/selection.h"

namespace pyllm {

// Candidates, best first, until they weigh `mass`; terms hold their weights.
inline int64_t count_to_mass(const Selection& s, double mass, int64_t min_keep) {
  int64_t kept = 0;
  for (double reached = 0.0; kept < s.n(); ++kept) {
    if (reached >= mass && kept >= min_keep) break;
    reached += s.terms()[kept];
  }
  return kept;
}

// A logit above which the tokens together weigh about `mass`; rounding may leave it a little short.
inline float mass_floor(Selection* s, double mass) {
  s->weigh();
  MassByDistance masses;
  s->for_each([&](int64_t i, const Candidate& token) {
    masses.add((s->max() - token.logit) * s->scale(), s->terms()[i]);
  });
  const float reach = masses.reach(mass);
  return reach < 0.0f ? kLowest : s->max() - reach / s->scale();
}

// Keeps the fewest best tokens that hold the share `p` of probability, and at least `min_keep`. Of
// a whole vocabulary the best 128 and 1,024 tokens are tried first, then as many as the mass asks
// for.
inline void apply_top_p(Selection* s, double p, int64_t min_keep) {
  if (p >= 1.0) return;
  min_keep = std::max<int64_t>(min_keep, 1);
  if (!s->whole()) {
    const double total = s->weigh();
    s->become(count_to_mass(*s, p * total, min_keep));
    return;
  }
  const double mass = p * s->total_weight();
  Selection found = *s;
  for (const int64_t k : {int64_t{128}, int64_t{1024}}) {
    if (k >= s->n_vocab() || min_keep >= k) continue;
    found = *s;
    found.keep_best(k);
    found.weigh();
    const int64_t kept = count_to_mass(found, mass, min_keep);
    if (kept < found.n()) {
      s->become(kept);
      return;
    }
  }
  float least = min_keep > 1 ? kLowest : mass_floor(s, mass);
  for (;; least = kLowest) {
    found = *s;
    found.keep_from(least);
    found.weigh();
    const int64_t kept = count_to_mass(found, mass, min_keep);
    if (kept < found.n() || least == kLowest) {
      s->become(kept);
      return;
    }
  }
}

}  // namespace pyllm

#endif  // PYLLM_CSRC_SAMPLING_TOP_P_H_
