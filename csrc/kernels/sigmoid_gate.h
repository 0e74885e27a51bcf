// A row scaled by how much another row wants it. Included per instruction set.

// x . w in 4 accumulators of 16 lanes: vector v goes to accumulator v % 4, then a fixed tree.
static inline float dot_row(const float* x, const float* w, int64_t n) {
  F32 sums[4] = {f32_zero(), f32_zero(), f32_zero(), f32_zero()};
  for (int64_t i = 0; i < n; i += 16) {
    const bool whole = n - i >= 16;
    const F32 a = whole ? f32_load(x + i) : f32_load_n(x + i, n - i);
    const F32 b = whole ? f32_load(w + i) : f32_load_n(w + i, n - i);
    sums[i / 16 % 4] = f32_fma(a, b, sums[i / 16 % 4]);
  }
  return f32_reduce_add(f32_add(f32_add(sums[0], sums[1]), f32_add(sums[2], sums[3])));
}

// out = y / (1 + e^-(x . w)); out [n_out] may be y.
static void sigmoid_gate(const float* x, const float* w, int64_t n, const float* y, float* out,
                         int64_t n_out) {
  const F32 logit = f32_set1(dot_row(x, w, n));
  const F32 one_plus_exp = f32_add(f32_set1(1.0f), f32_exp(f32_sub(f32_zero(), logit)));
  int64_t i = 0;
  for (; i + 16 <= n_out; i += 16) f32_store(out + i, f32_div(f32_load(y + i), one_plus_exp));
  if (i < n_out) {
    f32_store_n(out + i, f32_div(f32_load_n(y + i, n_out - i), one_plus_exp), n_out - i);
  }
}
