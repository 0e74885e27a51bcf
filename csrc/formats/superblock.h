// Two-level scales: 256 values in sub-blocks, each with an integer scale (and min) times one half.
#ifndef PYLLM_CSRC_FORMATS_SUPERBLOCK_H_
#define PYLLM_CSRC_FORMATS_SUPERBLOCK_H_

#include "formats/fit_affine.h"

namespace pyllm {

constexpr int kSuperBlock = 256;  // values
constexpr int kMaxSubBlocks = 16;

struct SuperScales {
  uint16_t d;                // half
  int scale[kMaxSubBlocks];  // sub-block b: value = d * scale[b] * q
};

// Integer scales for a given d: the least-squares scale of each sub-block and its two neighbours.
template <class Levels>
static inline float choose_scales(const float* x, int n, const Levels& levels, const float* ideal,
                                  int lo, int hi, SuperScales* out) {
  const float d = half_to_float(out->d), inverse = inverse_or_zero(d);
  float total = 0.0f;
  for (int b = 0; b < kSuperBlock / n; ++b) {
    const int middle = rounded_int(ideal[b] * inverse, lo, hi);
    float best = INFINITY;
    for (int s = middle > lo ? middle - 1 : lo; s <= middle + 1 && s <= hi; ++s) {
      const float error = level_error(x + b * n, n, d * static_cast<float>(s), levels);
      if (error < best) {
        best = error;
        out->scale[b] = s;
      }
    }
    total += best;
  }
  return total;
}

// The best d for the levels the current scales give.
template <class Levels>
static inline float refit_d(const float* x, int n, const Levels& levels,
                            const SuperScales& scales) {
  float q[kMaxSubBlock];
  float numerator = 0.0f, denominator = 0.0f;
  for (int b = 0; b < kSuperBlock / n; ++b) {
    const float s = static_cast<float>(scales.scale[b]);
    to_levels(x + b * n, n, inverse_or_zero(half_to_float(scales.d) * s), levels, q);
    numerator += s * dot(x + b * n, q, n);
    denominator += s * s * dot(q, q, n);
  }
  return denominator > 0.0f ? numerator / denominator : 0.0f;
}

// Sub-blocks of n values, integer scales in [lo, hi] with lo = -(hi + 1).
template <class Levels>
static inline SuperScales fit_super_scales(const float* x, int n, const Levels& levels, int lo,
                                           int hi) {
  float ideal[kMaxSubBlocks];
  for (int b = 0; b < kSuperBlock / n; ++b) ideal[b] = fit_scale(x + b * n, n, levels);
  const float peak = peak_of(ideal, kSuperBlock / n);
  // The largest scale takes lo, whose magnitude is one more than hi's.
  SuperScales best = {half_scale(peak / static_cast<float>(lo)), {}};
  const float error = choose_scales(x, n, levels, ideal, lo, hi, &best);
  SuperScales refit = {half_scale(refit_d(x, n, levels, best)), {}};
  return choose_scales(x, n, levels, ideal, lo, hi, &refit) < error ? refit : best;
}

struct SuperAffine {
  uint16_t d, dmin;          // halves
  int scale[kMaxSubBlocks];  // sub-block b: value = d * scale[b] * q - dmin * min[b]
  int min[kMaxSubBlocks];
};

static inline Affine sub_block(const SuperAffine& s, int b) {
  return {half_to_float(s.d) * static_cast<float>(s.scale[b]),
          half_to_float(s.dmin) * static_cast<float>(s.min[b])};
}

static inline float choose_affine(const float* x, int n, float top, const Affine* ideal, int limit,
                                  SuperAffine* out) {
  const float inverse_d = inverse_or_zero(half_to_float(out->d));
  const float inverse_dmin = inverse_or_zero(half_to_float(out->dmin));
  float total = 0.0f;
  for (int b = 0; b < kSuperBlock / n; ++b) {
    const int scale = rounded_int(ideal[b].scale * inverse_d, 0, limit);
    const int min = rounded_int(ideal[b].min * inverse_dmin, 0, limit);
    float best = INFINITY;
    SuperAffine trial = *out;
    for (int s = scale > 0 ? scale - 1 : 0; s <= scale + 1 && s <= limit; ++s) {
      for (int m = min > 0 ? min - 1 : 0; m <= min + 1 && m <= limit; ++m) {
        trial.scale[b] = s;
        trial.min[b] = m;
        const float error = affine_error(x + b * n, n, sub_block(trial, b), top);
        if (error < best) {
          best = error;
          out->scale[b] = s;
          out->min[b] = m;
        }
      }
    }
    total += best;
  }
  return total;
}

// The best d and dmin for the q the current scales give: normal equations of two unknowns.
static inline void refit_affine(const float* x, int n, float top, const SuperAffine& from,
                                SuperAffine* to) {
  float q[kMaxSubBlock];
  float dd = 0.0f, dm = 0.0f, mm = 0.0f, xd = 0.0f, xm = 0.0f;
  for (int b = 0; b < kSuperBlock / n; ++b) {
    to_affine(x + b * n, n, sub_block(from, b), top, q);
    const float s = static_cast<float>(from.scale[b]), m = static_cast<float>(from.min[b]);
    dd += s * s * dot(q, q, n);
    dm += s * m * sum(q, n);
    mm += m * m * static_cast<float>(n);
    xd += s * dot(x + b * n, q, n);
    xm += m * sum(x + b * n, n);
  }
  const float determinant = dd * mm - dm * dm;
  if (determinant > 1e-6f * dd * mm) {
    to->d = half_scale((xd * mm - xm * dm) / determinant);
    const float dmin = (xd * dm - xm * dd) / determinant;
    to->dmin = half_scale(dmin > 0.0f ? dmin : 0.0f);
  }
}

// Sub-blocks of n values, q in 0..top, integer scales and mins in 0..limit.
static inline SuperAffine fit_super_affine(const float* x, int n, float top, int limit) {
  Affine ideal[kMaxSubBlocks];
  float max_scale = 0.0f, max_min = 0.0f;
  for (int b = 0; b < kSuperBlock / n; ++b) {
    ideal[b] = fit_affine(x + b * n, n, top, true);
    max_scale = ideal[b].scale > max_scale ? ideal[b].scale : max_scale;
    max_min = ideal[b].min > max_min ? ideal[b].min : max_min;
  }
  const float steps = static_cast<float>(limit);
  SuperAffine best = {half_scale(max_scale / steps), half_scale(max_min / steps), {}, {}};
  const float error = choose_affine(x, n, top, ideal, limit, &best);
  SuperAffine refit = best;
  refit_affine(x, n, top, best, &refit);
  return choose_affine(x, n, top, ideal, limit, &refit) < error ? refit : best;
}

}  // namespace pyllm

#endif  // PYLLM_CSRC_FORMATS_SUPERBLOCK_H_
