// The draw that ends a row: inverse of the cumulated weights at a random number.
#ifndef PYLLM_CSRC_SAMPLING_DRAW_H_
#define PYLLM_CSRC_SAMPLING_DRAW_H_

#include "sampling/selection.h"

namespace pyllm {

struct Drawn {
  int32_t token = -1;  // -1: every token is forbidden
  double weight = 0.0, total = 0.0;
};

// Cumulates a whole vocabulary in the order of ids, candidates best first. u is in (0, 1).
inline Drawn draw(Selection* s, double u) {
  const bool whole = s->whole();
  s->weigh();
  const int64_t n = whole ? s->n_vocab() : s->n();
  double total = 0.0, reached = 0.0;
  for (int64_t i = 0; i < n; ++i) total += s->terms()[i];
  Drawn drawn;
  for (int64_t i = 0; i < n; ++i) {
    if (whole && s->scores().values[i] == -kInf) continue;
    const int32_t token = whole ? static_cast<int32_t>(i) : s->candidates()[i].id;
    drawn = {token, s->terms()[i], total};
    reached += s->terms()[i];
    if (reached > u * total) break;
  }
  return drawn;
}

}  // namespace pyllm

#endif  // PYLLM_CSRC_SAMPLING_DRAW_H_
