// What sampling needs from a row of logits: its maximum, whether it is finite, and sums of
// exponentials. Included per instruction set.

// Largest element; *finite is false when any element is infinite or NaN (then the maximum means
// nothing).
static float row_max(const float* x, int64_t n, bool* finite) {
  F32 largest = f32_set1(-3.4028235e38f), poison = f32_zero();
  for (int64_t i = 0; i < n; i += 16) {
    if (n - i >= 16) {
      const F32 v = f32_load(x + i);
      largest = f32_max(largest, v);
      poison = f32_fma(v, f32_zero(), poison);  // stays 0 unless v is infinite or NaN
    } else {
      float padded[16];
      for (int64_t j = 0; j < 16; ++j) padded[j] = x[i + (j < n - i ? j : 0)];
      largest = f32_max(largest, f32_load(padded));
      poison = f32_fma(f32_load(padded), f32_zero(), poison);
    }
  }
  *finite = f32_reduce_add(poison) == 0.0f;
  return f32_reduce_max(largest);
}

// Sum of e^((x - shift) * scale) in 4 accumulators of 16 lanes, vector v in accumulator v % 4.
// Each term is also written to `terms` [n] unless that is null.
static float exp_sum(const float* x, int64_t n, float shift, float scale, float* terms) {
  F32 sums[4] = {f32_zero(), f32_zero(), f32_zero(), f32_zero()};
  const F32 centre = f32_set1(shift), factor = f32_set1(scale);
  int64_t i = 0;
  for (int64_t v = 0; i + 16 <= n; i += 16, ++v) {
    const F32 term = f32_exp(f32_mul(f32_sub(f32_load(x + i), centre), factor));
    sums[v % 4] = f32_add(sums[v % 4], term);
    if (terms != nullptr) f32_store(terms + i, term);
  }
  if (i < n) {
    float last[16];
    f32_store(last, f32_exp(f32_mul(f32_sub(f32_load_n(x + i, n - i), centre), factor)));
    const F32 term = f32_load_n(last, n - i);  // lanes past the end count as 0
    sums[i / 16 % 4] = f32_add(sums[i / 16 % 4], term);
    if (terms != nullptr) f32_store_n(terms + i, term, n - i);
  }
  return f32_reduce_add(f32_add(f32_add(sums[0], sums[1]), f32_add(sums[2], sums[3])));
}

// maxima[t] = largest of x[16 t .. 16 t + 15]. One of them is NaN when any element is infinite or
// NaN (then the others mean nothing).
static void tile_max(const float* x, int64_t n, float* maxima) {
  F32 poison = f32_zero();
  for (int64_t i = 0; i < n; i += 16) {
    float padded[16];
    for (int64_t j = 0; n - i < 16 && j < 16; ++j) padded[j] = x[i + (j < n - i ? j : 0)];
    const F32 v = f32_load(n - i < 16 ? padded : x + i);
    poison = f32_fma(v, f32_zero(), poison);
    maxima[i / 16] = f32_reduce_max(v);
  }
  if (f32_reduce_add(poison) != 0.0f) maxima[0] = __builtin_nanf("");
}
