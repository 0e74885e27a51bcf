// The results of a token's experts, added up. Included per instruction set.

static inline F32 weighted_lanes(const float* rows, int64_t stride, const int32_t* places,
                                 const float* weights, int64_t n_rows, int64_t n) {
  const auto load = [&](int64_t r) {
    const float* row = rows + places[r] * stride;
    return n >= 16 ? f32_load(row) : f32_load_n(row, n);
  };
  F32 sum = f32_mul(load(0), f32_set1(weights[0]));
  for (int64_t r = 1; r < n_rows; ++r) sum = f32_fma(load(r), f32_set1(weights[r]), sum);
  return sum;
}

// y = w0 * row[places[0]] + w1 * row[places[1]] + …, in ascending order, then + base unless that is
// null. y may be base.
static void weighted_sum(const float* rows, int64_t stride, const int32_t* places,
                         const float* weights, int64_t n_rows, const float* base, float* y,
                         int64_t n) {
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) {
    const F32 sum = weighted_lanes(rows + i, stride, places, weights, n_rows, 16);
    f32_store(y + i, base != nullptr ? f32_add(sum, f32_load(base + i)) : sum);
  }
  if (i < n) {
    const F32 sum = weighted_lanes(rows + i, stride, places, weights, n_rows, n - i);
    f32_store_n(y + i, base != nullptr ? f32_add(sum, f32_load_n(base + i, n - i)) : sum, n - i);
  }
}
