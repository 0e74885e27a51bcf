// Scale and minimum of a block: value = scale * q - min, q in 0..top. The search is fit_affine.
#ifndef PYLLM_CSRC_FORMATS_FIT_AFFINE_H_
#define PYLLM_CSRC_FORMATS_FIT_AFFINE_H_

#include "formats/fit.h"

namespace pyllm {

struct Affine {
  float scale, min;
};

static inline void to_affine(const float* x, int n, Affine fit, float top, float* q) {
  const float inverse = inverse_or_zero(fit.scale);
  for (int i = 0; i < n; ++i) q[i] = rounded((x[i] + fit.min) * inverse, 0.0f, top);
}

// sum (x - (scale * q - min))^2 for the nearest q.
static inline float affine_error(const float* x, int n, Affine fit, float top) {
  const float inverse = inverse_or_zero(fit.scale);
  LaneSum squares;
  each_four(n, [&](int i, auto lane) {
    const Lanes v = load_lanes(x + i), q = rounded((v + fit.min) * inverse, 0.0f, top);
    const Lanes error = v - (fit.scale * q - fit.min);
    squares.*lane += error * error;
  });
  return squares.total();
}

// What a least-squares fit needs of values u >= 0 and their codes q.
struct AffineSums {
  float count, u, uu, q, uq, qq;
};

static inline void sum_codes(const float* u, int n, Affine fit, float top, AffineSums* sums) {
  const float inverse = inverse_or_zero(fit.scale);
  LaneSum codes, uq, qq;
  each_four(n, [&](int i, auto lane) {
    const Lanes v = load_lanes(u + i), q = rounded((v + fit.min) * inverse, 0.0f, top);
    codes.*lane += q;
    uq.*lane += v * q;
    qq.*lane += q * q;
  });
  sums->q = codes.total();
  sums->uq = uq.total();
  sums->qq = qq.total();
}

// Best scale and min for given codes, with min >= least.
static inline Affine solve_affine(const AffineSums& s, float least) {
  const float determinant = s.count * s.qq - s.q * s.q;
  Affine fit = {0.0f, -s.u / s.count};
  if (determinant > 0.0f) {
    fit.scale = (s.count * s.uq - s.q * s.u) / determinant;
    fit.min = (fit.scale * s.q - s.u) / s.count;
  }
  if (fit.min < least) fit = {s.qq > 0.0f ? (s.uq + least * s.q) / s.qq : 0.0f, least};
  return fit;
}

static inline float error_of(const AffineSums& s, Affine fit) {
  const float scale = fit.scale, min = fit.min;
  return s.uu + scale * (scale * s.qq - 2.0f * s.uq) + min * (s.count * min + 2.0f * s.u) -
         2.0f * scale * min * s.q;
}

// Scale and min that minimise the squared error; with bound_min, min may not be negative.
// The search runs on u = x - (smallest x), so that a common offset cannot drown the error terms.
static inline Affine fit_affine(const float* x, int n, float top, bool bound_min) {
  float lo = x[0], hi = x[0];
  for (int i = 1; i < n; ++i) {
    lo = x[i] < lo ? x[i] : lo;
    hi = x[i] > hi ? x[i] : hi;
  }
  if (bound_min && lo > 0.0f) lo = 0.0f;
  if (hi - lo < kSmallestPeak) return {0.0f, -lo};
  float u[kMaxSubBlock];
  for (int i = 0; i < n; ++i) u[i] = x[i] - lo;
  AffineSums sums = {static_cast<float>(n), sum(u, n), dot(u, u, n), 0.0f, 0.0f, 0.0f};
  const float least = bound_min ? lo : -INFINITY;
  Affine best = {0.0f, 0.0f};
  float best_error = INFINITY;
  const auto consider = [&](Affine start) {
    sum_codes(u, n, start, top, &sums);
    const Affine fit = solve_affine(sums, least);
    const float error = error_of(sums, fit);
    if (error < best_error) {
      best_error = error;
      best = fit;
    }
  };
  for (int step = -kSearchSteps; step <= kSearchSteps; ++step) {
    const float levels = top + static_cast<float>(step) / kSearchSteps;
    consider({(hi - lo) / levels, 0.0f});
  }
  consider(best);
  consider(best);
  return {best.scale, best.min - lo};
}

}  // namespace pyllm

#endif  // PYLLM_CSRC_FORMATS_FIT_AFFINE_H_
