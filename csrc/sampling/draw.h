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
  s->weigh();
  double total = 0.0, reached = 0.0;
  s->for_each([&](int64_t i, const Candidate&) { total += s->terms()[i]; });
  Drawn drawn;
  s->for_each([&](int64_t i, const Candidate& token) {
    if (reached > u * total || token.logit == -kInf) return;
    drawn = {token.id, s->terms()[i], total};
    reached += s->terms()[i];
  });
  return drawn;
}

}  // namespace pyllm

#endif  // PYLLM_CSRC_SAMPLING_DRAW_H_
