// Writes one token's key and value of one KV head into its block as f16. Included per instruction
// set.

// Keys go to one lane of a panel [k_dim][16]; values to a row whose padding up to 16 is written as
// 0.
static void kv_store(const float* key, int64_t k_dim, uint16_t* panel_lane, const float* value,
                     int64_t v_dim, uint16_t* value_row) {
  uint16_t halves[16];
  for (int64_t d = 0; d < k_dim; d += 16) {
    const int64_t n = k_dim - d < 16 ? k_dim - d : 16;
    f32_store_f16(halves, n == 16 ? f32_load(key + d) : f32_load_n(key + d, n));
    for (int64_t i = 0; i < n; ++i) panel_lane[16 * (d + i)] = halves[i];
  }
  for (int64_t d = 0; d < v_dim; d += 16) {
    const int64_t n = v_dim - d;
    f32_store_f16(value_row + d, n >= 16 ? f32_load(value + d) : f32_load_n(value + d, n));
  }
}
