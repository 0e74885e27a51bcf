// Gated activations. Included per instruction set.

// silu(g) u with silu(g) = g / (1 + e^-g).
static inline F32 f32_silu_mul(F32 gate, F32 up) {
  const F32 one_plus_exp = f32_add(f32_set1(1.0f), f32_exp(f32_sub(f32_zero(), gate)));
  return f32_mul(f32_div(gate, one_plus_exp), up);
}

// y = silu(gate) * up; y may be gate or up.
static void silu_mul(const float* gate, const float* up, float* y, int64_t n) {
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) f32_store(y + i, f32_silu_mul(f32_load(gate + i), f32_load(up + i)));
  if (i < n) {
    const F32 last = f32_silu_mul(f32_load_n(gate + i, n - i), f32_load_n(up + i, n - i));
    f32_store_n(y + i, last, n - i);
  }
}
