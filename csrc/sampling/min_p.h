// Min-p sampling (Nguyen et al. 2024).
#ifndef PYLLM_CSRC_SAMPLING_MIN_P_H_
#define PYLLM_CSRC_SAMPLING_MIN_P_H_

#include "sampling/selection.h"

namespace pyllm {

// Keeps tokens at least `p` times as probable as the best one, and at least `min_keep`.
inline void apply_min_p(Selection* s, float p, int64_t min_keep) {
  if (p <= 0.0f) return;
  min_keep = std::max<int64_t>(min_keep, 1);
  Selection kept = *s;
  kept.keep_from(s->floor_of(p));
  if (kept.n() < min_keep) {
    s->keep_best(min_keep);
    kept = *s;
  }
  kept.weigh();
  int64_t n = kept.n();
  while (n > min_keep && kept.terms()[n - 1] < p) --n;
  s->become(n);
}

}  // namespace pyllm

#endif  // PYLLM_CSRC_SAMPLING_MIN_P_H_
