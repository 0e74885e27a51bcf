// Writes one token's key or value of one KV head into its panel, see kv_panel.h. Included per
// instruction set. Each is quantised from its own elements only, once, so that what a cache holds
// does not depend on the batch.

// Codes of n <= 32 elements, without their bias; those past n are 0. Returns the scale. A group
// that holds an infinity or NaN gets the scale NaN, so that it shows in every score and result.
static inline uint16_t quantize_kv_group(KvType type, const float* x, int64_t n, int8_t* codes) {
  const F32 elements[2] = {n < 16 ? f32_load_n(x, n) : f32_load(x),
                           n > 16 ? f32_load_n(x + 16, n - 16) : f32_zero()};
  F32 high = f32_zero(), low = f32_zero(), poison = f32_zero();
  for (const F32 v : elements) {
    high = f32_max(v, high);
    low = f32_max(f32_sub(f32_zero(), v), low);
    poison = f32_fma(v, f32_zero(), poison);  // stays 0 unless v is infinite or NaN
  }
  const float above = f32_reduce_max(high), below = f32_reduce_max(low);
  const bool finite = f32_reduce_add(poison) == 0.0f;
  // Of the 16 codes of q4_0, -8 to 7, the extreme one is for the element furthest from 0.
  const float wanted = type == kKvQ8_0 ? (above > below ? above : below) / 127
                                       : (above > below ? above : -below) / -8;
  const uint16_t scale = finite ? float_to_half(wanted) : 0x7e00;
  const float stored = half_to_float(scale);
  const bool usable = finite && stored != 0.0f;
  const F32 inverse = f32_set1(usable ? 1 / stored : 0.0f);
  const F32 least = f32_set1(type == kKvQ8_0 ? -127.0f : -8.0f);
  const F32 most = f32_set1(type == kKvQ8_0 ? 127.0f : 7.0f);
  for (int i = 0; i < 2; ++i) {
    const F32 steps = usable ? f32_mul(elements[i], inverse) : f32_zero();
    i32_store_s8(codes + 16 * i, f32_round_to_i32(f32_min(f32_max(steps, least), most)));
  }
  return scale;
}

static inline uint8_t biased_byte(int8_t code) { return static_cast<uint8_t>(code + 128); }
static inline uint8_t biased_pair(int8_t low, int8_t high) {
  return static_cast<uint8_t>((low + 8) | (high + 8) << 4);
}

static void store_quantized_key(KvType type, const float* key, int64_t k_dim, uint16_t* panel,
                                int64_t lane) {
  auto* bytes = reinterpret_cast<uint8_t*>(panel + kv_panel_scales(type, k_dim)) + lane;
  for (int64_t first = 0; first < k_dim; first += kKvGroup) {
    const int64_t n = k_dim - first < kKvGroup ? k_dim - first : kKvGroup;
    int8_t codes[kKvGroup];
    panel[first / kKvGroup * kPanelTokens + lane] = quantize_kv_group(type, key + first, n, codes);
    if (type == kKvQ8_0) {
      for (int64_t i = 0; i < n; ++i) bytes[16 * (first + i)] = biased_byte(codes[i]);
    } else {
      for (int64_t i = 0; i < n; i += 2)
        bytes[8 * (first + i)] = biased_pair(codes[i], codes[i + 1]);
    }
  }
}

static void store_quantized_value(KvType type, const float* value, int64_t v_dim, uint16_t* panel,
                                  int64_t lane) {
  auto* bytes = reinterpret_cast<uint8_t*>(panel + kv_panel_scales(type, v_dim) +
                                           lane * kv_value_units(type, v_dim));
  for (int64_t first = 0; first < v_dim; first += kKvGroup) {
    const int64_t n = v_dim - first < kKvGroup ? v_dim - first : kKvGroup;
    int8_t codes[kKvGroup];
    panel[first / kKvGroup * kPanelTokens + lane] =
        quantize_kv_group(type, value + first, n, codes);
    if (type == kKvQ8_0) {
      const int64_t padded = n <= 16 ? 16 : kKvGroup;
      for (int64_t i = 0; i < padded; ++i) bytes[first + i] = biased_byte(codes[i]);
    } else {
      for (int64_t i = 0; i < 16; ++i) bytes[first / 2 + i] = biased_pair(codes[i], codes[i + 16]);
    }
  }
}

static inline void store_halves(KvType type, uint16_t* to, F32 x) {
  if (type == kKvF16) return f32_store_f16(to, x);
  float elements[16];
  f32_store(elements, x);
  for (int i = 0; i < 16; ++i) to[i] = float_to_bf16(elements[i]);
}

static void store_key(KvType type, const float* key, int64_t k_dim, uint16_t* panel, int64_t lane) {
  if (type == kKvQ8_0 || type == kKvQ4_0) {
    return store_quantized_key(type, key, k_dim, panel, lane);
  }
  uint16_t halves[16];
  for (int64_t d = 0; d < k_dim; d += 16) {
    const int64_t n = k_dim - d < 16 ? k_dim - d : 16;
    store_halves(type, halves, n == 16 ? f32_load(key + d) : f32_load_n(key + d, n));
    for (int64_t i = 0; i < n; ++i) panel[16 * (d + i) + lane] = halves[i];
  }
}

static void store_value(KvType type, const float* value, int64_t v_dim, uint16_t* panel,
                        int64_t lane) {
  if (type == kKvQ8_0 || type == kKvQ4_0) {
    return store_quantized_value(type, value, v_dim, panel, lane);
  }
  uint16_t* row = panel + lane * kv_value_units(type, v_dim);
  for (int64_t d = 0; d < v_dim; d += 16) {
    const int64_t n = v_dim - d;
    store_halves(type, row + d, n >= 16 ? f32_load(value + d) : f32_load_n(value + d, n));
  }
}
