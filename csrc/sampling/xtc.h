// "Exclude top choices" (Weidmann 2024): now and then leaves out all but the least of the probable.
#ifndef PYLLM_CSRC_SAMPLING_XTC_H_
#define PYLLM_CSRC_SAMPLING_XTC_H_

#include "sampling/selection.h"

namespace pyllm {

// `chance` is a draw of the row's own in (0, 1).
inline void apply_xtc(Selection* s, float probability, float threshold, int64_t min_keep,
                      double chance) {
  if (probability <= 0.0f || threshold > 0.5f || chance > probability) return;
  if (!s->whole() && s->n() < 2) return;
  const double least = threshold * s->total_weight();
  Selection probable = *s;
  if (s->whole()) probable.keep_from(s->floor_of(least));
  probable.weigh();
  int64_t n = 0;
  while (n < probable.n() && probable.terms()[n] >= least) ++n;
  const int64_t dropped = n - 1;
  if (dropped <= 0 || s->size() - dropped < min_keep) return;
  s->drop_best(dropped);
}

}  // namespace pyllm

#endif  // PYLLM_CSRC_SAMPLING_XTC_H_
