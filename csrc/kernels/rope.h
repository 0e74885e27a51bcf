// Rotary position embedding of one head. Included per instruction set.

// Pair i is turned by the angle whose cosine and sine are given: y0 = x0 c - x1 s, y1 = x0 s + x1
// c. Pairs are (2i, 2i+1), or with neox (i, i + n_pairs). Dimensions from 2 n_pairs to n are
// copied. y may be x. Plain loops: the compiler may use any vectors for them, as each element has
// its own IEEE operations.
static void rope(const float* x, const float* cosines, const float* sines, float* y,
                 int64_t n_pairs, int64_t n, bool neox) {
  const int64_t step = neox ? 1 : 2;
  const int64_t other = neox ? n_pairs : 1;
  for (int64_t i = 0; i < n_pairs; ++i) {
    const float x0 = x[i * step], x1 = x[i * step + other];
    y[i * step] = x0 * cosines[i] - x1 * sines[i];
    y[i * step + other] = x0 * sines[i] + x1 * cosines[i];
  }
  if (y != x) {
    for (int64_t i = 2 * n_pairs; i < n; ++i) y[i] = x[i];
  }
}
