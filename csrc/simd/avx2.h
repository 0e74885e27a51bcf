// The 16-lane vocabulary on AVX2 + FMA + F16C: two registers each, rows 0-7 and 8-15.
// With __AVXVNNI__ the dot products are one instruction a half. Included inside a namespace of its
// own.

struct F32 {
  __m256 lo, hi;
};
struct I32 {
  __m256i lo, hi;
};
struct U8 {  // lane r of a line = bytes 4r .. 4r+3
  __m256i lo, hi;
};

static inline __m256i lane_mask(int64_t n) {  // ones in the first n of 8 lanes
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int32_t>(n)),
                            _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

// ---- float ----
static inline F32 f32_set1(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
static inline F32 f32_zero() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
static inline F32 f32_load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
static inline void f32_store(float* p, F32 a) {
  _mm256_storeu_ps(p, a.lo);
  _mm256_storeu_ps(p + 8, a.hi);
}
static inline F32 f32_load_n(const float* p, int64_t n) {
  return {_mm256_maskload_ps(p, lane_mask(n)), _mm256_maskload_ps(p + 8, lane_mask(n - 8))};
}
static inline void f32_store_n(float* p, F32 a, int64_t n) {
  _mm256_maskstore_ps(p, lane_mask(n), a.lo);
  _mm256_maskstore_ps(p + 8, lane_mask(n - 8), a.hi);
}
#define PYLLM_F32_BINARY(name, op) \
  static inline F32 name(F32 a, F32 b) { return {op(a.lo, b.lo), op(a.hi, b.hi)}; }
PYLLM_F32_BINARY(f32_add, _mm256_add_ps)
PYLLM_F32_BINARY(f32_sub, _mm256_sub_ps)
PYLLM_F32_BINARY(f32_mul, _mm256_mul_ps)
PYLLM_F32_BINARY(f32_div, _mm256_div_ps)
PYLLM_F32_BINARY(f32_max, _mm256_max_ps)
PYLLM_F32_BINARY(f32_min, _mm256_min_ps)
#undef PYLLM_F32_BINARY
static inline F32 f32_fma(F32 a, F32 b, F32 c) {
  return {_mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi)};
}
static inline F32 f32_fnma(F32 a, F32 b, F32 c) {
  return {_mm256_fnmadd_ps(a.lo, b.lo, c.lo), _mm256_fnmadd_ps(a.hi, b.hi, c.hi)};
}
static inline F32 f32_abs(F32 a) {
  const __m256 sign = _mm256_set1_ps(-0.0f);
  return {_mm256_andnot_ps(sign, a.lo), _mm256_andnot_ps(sign, a.hi)};
}
static inline F32 f32_sqrt(F32 a) { return {_mm256_sqrt_ps(a.lo), _mm256_sqrt_ps(a.hi)}; }
static inline F32 f32_load_f16(const uint16_t* p) {
  return {_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))),
          _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p + 8)))};
}
static inline void f32_store_f16(uint16_t* p, F32 a) {
  constexpr int kNearest = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_cvtps_ph(a.lo, kNearest));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p + 8), _mm256_cvtps_ph(a.hi, kNearest));
}
static inline __m256 widen_bf16(const uint16_t* p) {
  const __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
}
static inline F32 f32_load_bf16(const uint16_t* p) { return {widen_bf16(p), widen_bf16(p + 8)}; }
static inline F32 f32_from_i32(I32 a) {
  return {_mm256_cvtepi32_ps(a.lo), _mm256_cvtepi32_ps(a.hi)};
}
static inline I32 f32_round_to_i32(F32 a) {
  return {_mm256_cvtps_epi32(a.lo), _mm256_cvtps_epi32(a.hi)};
}
static inline __m256 exponent_factor(__m256i n) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(n, _mm256_set1_epi32(127)), 23));
}
static inline F32 f32_scale_pow2(F32 a, I32 n) {
  return {_mm256_mul_ps(a.lo, exponent_factor(n.lo)), _mm256_mul_ps(a.hi, exponent_factor(n.hi))};
}
static inline float f32_reduce_add(F32 a) {
  const __m256 s8 = _mm256_add_ps(a.lo, a.hi);
  const __m128 s4 = _mm_add_ps(_mm256_castps256_ps128(s8), _mm256_extractf128_ps(s8, 1));
  const __m128 s2 = _mm_add_ps(s4, _mm_movehl_ps(s4, s4));
  return _mm_cvtss_f32(_mm_add_ss(s2, _mm_movehdup_ps(s2)));
}
static inline float f32_reduce_max(F32 a) {
  const __m256 s8 = _mm256_max_ps(a.lo, a.hi);
  const __m128 s4 = _mm_max_ps(_mm256_castps256_ps128(s8), _mm256_extractf128_ps(s8, 1));
  const __m128 s2 = _mm_max_ps(s4, _mm_movehl_ps(s4, s4));
  return _mm_cvtss_f32(_mm_max_ss(s2, _mm_movehdup_ps(s2)));
}

// ---- int32 ----
static inline I32 i32_set1(int32_t x) { return {_mm256_set1_epi32(x), _mm256_set1_epi32(x)}; }
static inline I32 i32_zero() { return {_mm256_setzero_si256(), _mm256_setzero_si256()}; }
static inline __m256i load_256(const void* p) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(p));
}
static inline I32 i32_load(const void* p) {
  return {load_256(p), load_256(static_cast<const uint8_t*>(p) + 32)};
}
static inline void i32_store(void* p, I32 a) {
  _mm256_storeu_si256(static_cast<__m256i*>(p), a.lo);
  _mm256_storeu_si256(static_cast<__m256i*>(p) + 1, a.hi);
}
#define PYLLM_I32_BINARY(name, op) \
  static inline I32 name(I32 a, I32 b) { return {op(a.lo, b.lo), op(a.hi, b.hi)}; }
PYLLM_I32_BINARY(i32_add, _mm256_add_epi32)
PYLLM_I32_BINARY(i32_sub, _mm256_sub_epi32)
PYLLM_I32_BINARY(i32_mul, _mm256_mullo_epi32)
PYLLM_I32_BINARY(i32_and, _mm256_and_si256)
PYLLM_I32_BINARY(i32_or, _mm256_or_si256)
#undef PYLLM_I32_BINARY
template <int kBits>
static inline I32 i32_shl(I32 a) {
  return {_mm256_slli_epi32(a.lo, kBits), _mm256_slli_epi32(a.hi, kBits)};
}
template <int kBits>
static inline I32 i32_shr(I32 a) {
  return {_mm256_srli_epi32(a.lo, kBits), _mm256_srli_epi32(a.hi, kBits)};
}
template <int kBits>
static inline I32 i32_sar(I32 a) {
  return {_mm256_srai_epi32(a.lo, kBits), _mm256_srai_epi32(a.hi, kBits)};
}

static inline int32_t i32_reduce_add(I32 a) {
  const __m256i s8 = _mm256_add_epi32(a.lo, a.hi);
  const __m128i s4 = _mm_add_epi32(_mm256_castsi256_si128(s8), _mm256_extracti128_si256(s8, 1));
  const __m128i s2 = _mm_add_epi32(s4, _mm_unpackhi_epi64(s4, s4));
  return _mm_cvtsi128_si32(_mm_add_epi32(s2, _mm_shuffle_epi32(s2, 1)));
}
static inline __m256i pack_u16(I32 a) {  // the low word of each lane, in order
  const __m256i low = _mm256_set1_epi32(0xffff);
  const __m256i mixed =
      _mm256_packus_epi32(_mm256_and_si256(a.lo, low), _mm256_and_si256(a.hi, low));
  return _mm256_permute4x64_epi64(mixed, 0xd8);
}
static inline void i32_store_u16(uint16_t* p, I32 a) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), pack_u16(a));
}
static inline void i32_store_s8(int8_t* p, I32 a) {  // lanes already within [-128, 127]
  const __m256i words = pack_u16(a);
  _mm_storeu_si128(
      reinterpret_cast<__m128i*>(p),
      _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1)));
}
// Lane i = the 4 bytes at base + i * stride.
static inline I32 i32_gather(const uint8_t* base, int32_t stride) {
  const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  const __m256i offsets = _mm256_mullo_epi32(lanes, _mm256_set1_epi32(stride));
  const auto* low = reinterpret_cast<const int*>(base);
  const auto* high = reinterpret_cast<const int*>(base + 8 * static_cast<int64_t>(stride));
  return {_mm256_i32gather_epi32(low, offsets, 1), _mm256_i32gather_epi32(high, offsets, 1)};
}
static inline I32 i32_load_u8(const uint8_t* p) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return {_mm256_cvtepu8_epi32(bytes), _mm256_cvtepu8_epi32(_mm_srli_si128(bytes, 8))};
}
static inline I32 i32_load_u16(const uint8_t* p) {
  const auto* words = reinterpret_cast<const __m128i*>(p);
  return {_mm256_cvtepu16_epi32(_mm_loadu_si128(words)),
          _mm256_cvtepu16_epi32(_mm_loadu_si128(words + 1))};
}
static inline F32 f32_from_bits(I32 a) {
  return {_mm256_castsi256_ps(a.lo), _mm256_castsi256_ps(a.hi)};
}
static inline I32 i32_xor(I32 a, I32 b) {
  return {_mm256_xor_si256(a.lo, b.lo), _mm256_xor_si256(a.hi, b.hi)};
}

// ---- lines of 64 bytes ----
static inline U8 u8_load(const void* p) {
  return {load_256(p), load_256(static_cast<const uint8_t*>(p) + 32)};
}
static inline U8 u8_set1(uint8_t x) {
  const __m256i v = _mm256_set1_epi8(static_cast<char>(x));
  return {v, v};
}
static inline U8 u8_and(U8 a, U8 b) {
  return {_mm256_and_si256(a.lo, b.lo), _mm256_and_si256(a.hi, b.hi)};
}
static inline U8 u8_or(U8 a, U8 b) {
  return {_mm256_or_si256(a.lo, b.lo), _mm256_or_si256(a.hi, b.hi)};
}
static inline U8 u8_shr(U8 a, int bits) {
  return {_mm256_srli_epi16(a.lo, bits), _mm256_srli_epi16(a.hi, bits)};
}
static inline U8 u8_shl(U8 a, int bits) {
  return {_mm256_slli_epi16(a.lo, bits), _mm256_slli_epi16(a.hi, bits)};
}

static inline void u8_store(void* p, U8 a) { i32_store(p, {a.lo, a.hi}); }
// Byte i of the result = table[i-th byte of `index`], which is below 16.
static inline U8 u8_lookup(const uint8_t* table, U8 index) {
  const __m256i levels =
      _mm256_broadcastsi128_si256(_mm_load_si128(reinterpret_cast<const __m128i*>(table)));
  return {_mm256_shuffle_epi8(levels, index.lo), _mm256_shuffle_epi8(levels, index.hi)};
}

// ---- dot products: exact, lane r of the sum grows by 4 byte (or 2 word) products ----
#ifdef __AVXVNNI__
template <int kBits>
struct Dot {
  using Sum = I32;
  static constexpr int kRun = 0;
  static constexpr bool kSigned = false;
  static inline I32 add(I32 sum, U8 w, int32_t a4) {
    const __m256i a = _mm256_set1_epi32(a4);
    return {_mm256_dpbusd_avx_epi32(sum.lo, w.lo, a), _mm256_dpbusd_avx_epi32(sum.hi, w.hi, a)};
  }
};
static inline I32 dot_i16(I32 acc, I32 w_pairs, int32_t a_pair) {
  const __m256i a = _mm256_set1_epi32(a_pair);
  return {_mm256_dpwssd_avx_epi32(acc.lo, w_pairs.lo, a),
          _mm256_dpwssd_avx_epi32(acc.hi, w_pairs.hi, a)};
}
#else
struct I16 {
  __m256i lo, hi;
};
// kRun products of kBits bytes fit 16 bits: 2 * kRun * (2^kBits - 1) * 127 < 32,768. Bytes of 8
// bits are multiplied as byte - 128 = +-|w|: |w| * (+-a), at most 2 * 128 * 127.
template <int kBits>
struct Dot {
  using Sum = I16;
  static constexpr int kRun = kBits <= 4 ? 8 : kBits == 5 ? 4 : kBits == 6 ? 2 : 1;
  static constexpr bool kSigned = kBits == 8;
  static inline I16 start(U8 w, int32_t a4) {
    const __m256i a = _mm256_set1_epi32(a4), top = _mm256_set1_epi8(-128);
    if constexpr (!kSigned) return {_mm256_maddubs_epi16(w.lo, a), _mm256_maddubs_epi16(w.hi, a)};
    const __m256i lo = _mm256_xor_si256(w.lo, top), hi = _mm256_xor_si256(w.hi, top);
    return {_mm256_maddubs_epi16(_mm256_abs_epi8(lo), _mm256_sign_epi8(a, lo)),
            _mm256_maddubs_epi16(_mm256_abs_epi8(hi), _mm256_sign_epi8(a, hi))};
  }
  static inline I16 add(I16 sum, U8 w, int32_t a4) {
    const I16 next = start(w, a4);
    return {_mm256_add_epi16(sum.lo, next.lo), _mm256_add_epi16(sum.hi, next.hi)};
  }
  static inline I32 widen(I16 sum) {
    const __m256i one = _mm256_set1_epi16(1);
    return {_mm256_madd_epi16(sum.lo, one), _mm256_madd_epi16(sum.hi, one)};
  }
};
static inline I32 dot_i16(I32 acc, I32 w_pairs, int32_t a_pair) {
  const __m256i a = _mm256_set1_epi32(a_pair);
  return {_mm256_add_epi32(acc.lo, _mm256_madd_epi16(w_pairs.lo, a)),
          _mm256_add_epi32(acc.hi, _mm256_madd_epi16(w_pairs.hi, a))};
}
#endif
