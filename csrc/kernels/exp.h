// e^x and 2^x on 16 lanes: one sequence of operations on every instruction set, relative error
// below 2e-7. Included per instruction set.

// Clamped to [-87.3, 88.3], where the result and its power of two are normal numbers. NaN stays
// NaN: min and max give their second operand when unordered.
static inline F32 f32_exp(F32 x) {
  x = f32_min(f32_set1(88.3f), f32_max(f32_set1(-87.3f), x));
  const I32 n = f32_round_to_i32(f32_mul(x, f32_set1(1.442695f)));
  // r = x - n ln 2 in two parts; the first has 15 bits, so n times it is exact.
  const F32 steps = f32_from_i32(n);
  F32 r = f32_fnma(steps, f32_set1(0.69314575f), x);
  r = f32_fnma(steps, f32_set1(1.4286068e-06f), r);
  // e^r = 1 + r + r^2 p(r) on |r| <= 0.3466: least-squares fit at Chebyshev nodes, error 5e-9.
  F32 p = f32_set1(0.0013946416f);
  p = f32_fma(p, r, f32_set1(0.008369156f));
  p = f32_fma(p, r, f32_set1(0.041666266f));
  p = f32_fma(p, r, f32_set1(0.16666517f));
  p = f32_fma(p, r, f32_set1(0.5f));
  p = f32_fma(p, f32_mul(r, r), r);
  return f32_scale_pow2(f32_add(p, f32_set1(1.0f)), n);
}

// 2^x for x <= 0, in 12 operations instead of the 19 of e^x: n and x - n are exact. Below -126 it
// stays at 2^-126, the smallest normal number; NaN stays NaN.
static inline F32 f32_exp2_nonpositive(F32 x) {
  x = f32_max(f32_set1(-126.0f), x);
  const I32 n = f32_round_to_i32(x);
  const F32 f = f32_sub(x, f32_from_i32(n));
  // 2^f = 1 + f p(f) on |f| <= 0.5, error 9.2e-8 at most: minimax.
  F32 p = f32_set1(0.0013264724f);
  p = f32_fma(p, f, f32_set1(0.009671513f));
  p = f32_fma(p, f, f32_set1(0.055507336f));
  p = f32_fma(p, f, f32_set1(0.24022242f));
  p = f32_fma(p, f, f32_set1(0.693147f));
  return f32_scale_pow2(f32_fma(p, f, f32_set1(1.0f)), n);
}
