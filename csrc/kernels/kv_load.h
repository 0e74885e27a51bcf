// Panels of the cache to float tiles. Included per instruction set, before attention.h.
//
// Every type but f16 is decoded into a tile of 16 KB (at 64 dimensions) that the kernels for floats
// then read from the L1 cache: twice a vector's load and one store, where the rows of a KV head do
// 4 multiply-adds or more with it. In exchange the register tiles know two element types.
//
// Beside what is decoded, the same place of the panel `ahead` is prefetched: of 16-bit types into
// L2, as at 128 dimensions the tile, its source and what follows would not share an L1 of 48 KB.

static inline F32 load_half(KvType type, const uint16_t* p) {
  return type == kKvF16 ? f32_load_f16(p) : f32_load_bf16(p);
}

// n elements, a multiple of 16.
template <KvType kType>
static inline void load_halves(const uint16_t* from, int64_t n, const uint16_t* ahead, float* to) {
  int64_t i = 0;
  for (; i + 32 <= n; i += 32) {
    __builtin_prefetch(ahead + i, 0, 2);
    f32_store(to + i, load_half(kType, from + i));
    f32_store(to + i + 16, load_half(kType, from + i + 16));
  }
  if (i < n) f32_store(to + i, load_half(kType, from + i));
}

// scale * (code - bias), as code * scale + offset: neither product nor sum needs rounding.
struct KvScale {
  F32 scale, offset;
};
template <KvType kType>
static inline F32 kv_offset(F32 scale) {
  return f32_mul(scale, f32_set1(kType == kKvQ8_0 ? -128.0f : -8.0f));
}
static inline F32 kv_decode(I32 codes, KvScale s) {
  return f32_fma(f32_from_i32(codes), s.scale, s.offset);
}
static inline I32 low_nibbles(I32 bytes) { return i32_and(bytes, i32_set1(15)); }

// A panel of keys to [k_dim][16 tokens].
template <KvType kType>
static void load_quantized_keys(const uint16_t* panel, int64_t k_dim, const uint16_t* ahead,
                                float* to) {
  const int64_t n_scales = kv_panel_scales(kType, k_dim);
  const auto* bytes = reinterpret_cast<const uint8_t*>(panel + n_scales);
  const auto* next = reinterpret_cast<const uint8_t*>(ahead + n_scales);
  for (int64_t first = 0; first < k_dim; first += kKvGroup) {
    const int64_t end = k_dim - first < kKvGroup ? k_dim : first + kKvGroup;
    const F32 scale = f32_load_f16(panel + first / kKvGroup * kPanelTokens);
    __builtin_prefetch(ahead + first / kKvGroup * kPanelTokens);
    const KvScale s = {scale, kv_offset<kType>(scale)};
    for (int64_t d = first; d < end; d += kType == kKvQ8_0 ? 1 : 2) {
      if constexpr (kType == kKvQ8_0) {
        if (d % 4 == 0) __builtin_prefetch(next + 16 * d);
        f32_store(to + 16 * d, kv_decode(i32_load_u8(bytes + 16 * d), s));
      } else {
        if (d % 8 == 0) __builtin_prefetch(next + 8 * d);
        const I32 pair = i32_load_u8(bytes + 8 * d);
        f32_store(to + 16 * d, kv_decode(low_nibbles(pair), s));
        if (d + 1 < end) f32_store(to + 16 * d + 16, kv_decode(i32_shr<4>(pair), s));
      }
    }
  }
}

static void load_keys(KvType type, const uint16_t* panel, int64_t k_dim, const uint16_t* ahead,
                      float* to) {
  switch (type) {
    case kKvF16:
      return load_halves<kKvF16>(panel, 16 * k_dim, ahead, to);
    case kKvBf16:
      return load_halves<kKvBf16>(panel, 16 * k_dim, ahead, to);
    case kKvQ8_0:
      return load_quantized_keys<kKvQ8_0>(panel, k_dim, ahead, to);
    case kKvQ4_0:
      return load_quantized_keys<kKvQ4_0>(panel, k_dim, ahead, to);
  }
}

// Dimensions [first, first + n) of the first n_tokens of a panel of values; multiples of 16, and
// `first` of 32.
struct ValuePart {
  int64_t v_dim, n_tokens, first, n;
};

// To [n_tokens][n].
template <KvType kType>
static void load_half_values(const uint16_t* panel, const ValuePart& part, const uint16_t* ahead,
                             float* to) {
  const int64_t stride = kv_value_units(kType, part.v_dim);
  for (int64_t t = 0; t < part.n_tokens; ++t) {
    const int64_t element = t * stride + part.first;
    load_halves<kType>(panel + element, part.n, ahead + element, to + t * part.n);
  }
}

template <KvType kType>
static void load_quantized_values(const uint16_t* panel, const ValuePart& part,
                                  const uint16_t* ahead, float* to) {
  const int64_t stride = kv_value_units(kType, part.v_dim);
  constexpr int64_t kBytes = kType == kKvQ8_0 ? kKvGroup : kKvGroup / 2;  // of a group
  for (int64_t d = 0; d < part.n; d += kKvGroup) {
    const int64_t group = (part.first + d) / kKvGroup;
    const bool whole = part.n - d > 16;
    float scales[kPanelTokens], offsets[kPanelTokens];
    const F32 scale = f32_load_f16(panel + group * kPanelTokens);
    f32_store(scales, scale);
    f32_store(offsets, kv_offset<kType>(scale));
    __builtin_prefetch(ahead + group * kPanelTokens);
    const int64_t codes = kv_panel_scales(kType, part.v_dim) + group * kBytes / 2;
    for (int64_t t = 0; t < part.n_tokens; ++t) {
      const auto* bytes = reinterpret_cast<const uint8_t*>(panel + codes + t * stride);
      if (d == 0) __builtin_prefetch(ahead + codes + t * stride);
      const KvScale s = {f32_set1(scales[t]), f32_set1(offsets[t])};
      float* value = to + t * part.n + d;
      const I32 first = i32_load_u8(bytes);
      f32_store(value, kv_decode(kType == kKvQ8_0 ? first : low_nibbles(first), s));
      if (!whole) continue;
      f32_store(value + 16,
                kv_decode(kType == kKvQ8_0 ? i32_load_u8(bytes + 16) : i32_shr<4>(first), s));
    }
  }
}

static void load_values(KvType type, const uint16_t* panel, const ValuePart& part,
                        const uint16_t* ahead, float* to) {
  switch (type) {
    case kKvF16:
      return load_half_values<kKvF16>(panel, part, ahead, to);
    case kKvBf16:
      return load_half_values<kKvBf16>(panel, part, ahead, to);
    case kKvQ8_0:
      return load_quantized_values<kKvQ8_0>(panel, part, ahead, to);
    case kKvQ4_0:
      return load_quantized_values<kKvQ4_0>(panel, part, ahead, to);
  }
}
