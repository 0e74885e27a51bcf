// RMS normalisation of one row. Included per instruction set.

// Sum of squares in 4 accumulators of 16 lanes: vector v goes to accumulator v % 4, then a fixed
// tree.
static inline float sum_of_squares(const float* x, int64_t n) {
  F32 sums[4] = {f32_zero(), f32_zero(), f32_zero(), f32_zero()};
  int64_t i = 0;
  for (; i + 64 <= n; i += 64) {
    for (int a = 0; a < 4; ++a) {
      const F32 v = f32_load(x + i + 16 * a);
      sums[a] = f32_fma(v, v, sums[a]);
    }
  }
  for (int a = 0; i < n; i += 16, ++a) {
    const F32 v = n - i >= 16 ? f32_load(x + i) : f32_load_n(x + i, n - i);
    sums[a] = f32_fma(v, v, sums[a]);
  }
  return f32_reduce_add(f32_add(f32_add(sums[0], sums[1]), f32_add(sums[2], sums[3])));
}

// y = (x * (1 / sqrt(mean(x^2) + eps))) * w; y may be x.
static void rms_norm(const float* x, const float* w, float* y, int64_t n, float eps) {
  const float mean = sum_of_squares(x, n) / static_cast<float>(n);
  const F32 inverse = f32_div(f32_set1(1.0f), f32_sqrt(f32_set1(mean + eps)));
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) {
    f32_store(y + i, f32_mul(f32_mul(f32_load(x + i), inverse), f32_load(w + i)));
  }
  if (i < n) {
    const F32 last = f32_mul(f32_mul(f32_load_n(x + i, n - i), inverse), f32_load_n(w + i, n - i));
    f32_store_n(y + i, last, n - i);
  }
}
