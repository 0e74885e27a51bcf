// The 16-lane vocabulary on AVX-512: one register each. With __AVX512VNNI__ the dot products are
// one instruction. Included inside a namespace of its own by csrc/isa/avx512*.cpp.

struct F32 {
  __m512 v;
};
struct I32 {
  __m512i v;
};
struct U8 {  // lane r of a line = bytes 4r .. 4r+3
  __m512i v;
};

static inline __mmask16 first_lanes(int64_t n) { return static_cast<__mmask16>((1u << n) - 1u); }

// ---- float ----
static inline F32 f32_set1(float x) { return {_mm512_set1_ps(x)}; }
static inline F32 f32_zero() { return {_mm512_setzero_ps()}; }
static inline F32 f32_load(const float* p) { return {_mm512_loadu_ps(p)}; }
static inline void f32_store(float* p, F32 a) { _mm512_storeu_ps(p, a.v); }
static inline F32 f32_load_n(const float* p, int64_t n) {
  return {_mm512_maskz_loadu_ps(first_lanes(n), p)};
}
static inline void f32_store_n(float* p, F32 a, int64_t n) {
  _mm512_mask_storeu_ps(p, first_lanes(n), a.v);
}
static inline F32 f32_add(F32 a, F32 b) { return {_mm512_add_ps(a.v, b.v)}; }
static inline F32 f32_sub(F32 a, F32 b) { return {_mm512_sub_ps(a.v, b.v)}; }
static inline F32 f32_mul(F32 a, F32 b) { return {_mm512_mul_ps(a.v, b.v)}; }
static inline F32 f32_div(F32 a, F32 b) { return {_mm512_div_ps(a.v, b.v)}; }
static inline F32 f32_max(F32 a, F32 b) { return {_mm512_max_ps(a.v, b.v)}; }
static inline F32 f32_min(F32 a, F32 b) { return {_mm512_min_ps(a.v, b.v)}; }
static inline F32 f32_fma(F32 a, F32 b, F32 c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
static inline F32 f32_fnma(F32 a, F32 b, F32 c) { return {_mm512_fnmadd_ps(a.v, b.v, c.v)}; }
static inline F32 f32_abs(F32 a) { return {_mm512_abs_ps(a.v)}; }
static inline F32 f32_sqrt(F32 a) { return {_mm512_sqrt_ps(a.v)}; }
static inline F32 f32_load_f16(const uint16_t* p) {
  return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
}
static inline void f32_store_f16(uint16_t* p, F32 a) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                      _mm512_cvtps_ph(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
static inline F32 f32_load_bf16(const uint16_t* p) {
  const __m512i wide =
      _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  return {_mm512_castsi512_ps(_mm512_slli_epi32(wide, 16))};
}
static inline F32 f32_from_i32(I32 a) { return {_mm512_cvtepi32_ps(a.v)}; }
static inline I32 f32_round_to_i32(F32 a) { return {_mm512_cvtps_epi32(a.v)}; }
static inline F32 f32_scale_pow2(F32 a, I32 n) {
  const __m512i exponent = _mm512_slli_epi32(_mm512_add_epi32(n.v, _mm512_set1_epi32(127)), 23);
  return {_mm512_mul_ps(a.v, _mm512_castsi512_ps(exponent))};
}
static inline float f32_reduce_add(F32 a) {
  const __m256 s8 = _mm256_add_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
  const __m128 s4 = _mm_add_ps(_mm256_castps256_ps128(s8), _mm256_extractf128_ps(s8, 1));
  const __m128 s2 = _mm_add_ps(s4, _mm_movehl_ps(s4, s4));
  return _mm_cvtss_f32(_mm_add_ss(s2, _mm_movehdup_ps(s2)));
}
static inline float f32_reduce_max(F32 a) {
  const __m256 s8 = _mm256_max_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
  const __m128 s4 = _mm_max_ps(_mm256_castps256_ps128(s8), _mm256_extractf128_ps(s8, 1));
  const __m128 s2 = _mm_max_ps(s4, _mm_movehl_ps(s4, s4));
  return _mm_cvtss_f32(_mm_max_ss(s2, _mm_movehdup_ps(s2)));
}

// ---- int32 ----
static inline I32 i32_set1(int32_t x) { return {_mm512_set1_epi32(x)}; }
static inline I32 i32_zero() { return {_mm512_setzero_si512()}; }
static inline I32 i32_load(const void* p) { return {_mm512_loadu_si512(p)}; }
static inline void i32_store(void* p, I32 a) { _mm512_storeu_si512(p, a.v); }
static inline I32 i32_add(I32 a, I32 b) { return {_mm512_add_epi32(a.v, b.v)}; }
static inline I32 i32_sub(I32 a, I32 b) { return {_mm512_sub_epi32(a.v, b.v)}; }
static inline I32 i32_mul(I32 a, I32 b) { return {_mm512_mullo_epi32(a.v, b.v)}; }
static inline I32 i32_and(I32 a, I32 b) { return {_mm512_and_si512(a.v, b.v)}; }
static inline I32 i32_or(I32 a, I32 b) { return {_mm512_or_si512(a.v, b.v)}; }
template <int kBits>
static inline I32 i32_shl(I32 a) {
  return {_mm512_slli_epi32(a.v, kBits)};
}
template <int kBits>
static inline I32 i32_shr(I32 a) {
  return {_mm512_srli_epi32(a.v, kBits)};
}
template <int kBits>
static inline I32 i32_sar(I32 a) {
  return {_mm512_srai_epi32(a.v, kBits)};
}

static inline int32_t i32_reduce_add(I32 a) { return _mm512_reduce_add_epi32(a.v); }
static inline void i32_store_s8(int8_t* p, I32 a) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(a.v));
}
static inline void i32_store_u16(uint16_t* p, I32 a) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi32_epi16(a.v));
}
// Lane i = the 4 bytes at base + i * stride.
static inline I32 i32_gather(const uint8_t* base, int32_t stride) {
  const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  return {_mm512_i32gather_epi32(_mm512_mullo_epi32(lanes, _mm512_set1_epi32(stride)), base, 1)};
}
static inline I32 i32_load_u8(const uint8_t* p) {
  return {_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))};
}
static inline I32 i32_load_u16(const uint8_t* p) {
  return {_mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
}
static inline F32 f32_from_bits(I32 a) { return {_mm512_castsi512_ps(a.v)}; }
static inline I32 i32_xor(I32 a, I32 b) { return {_mm512_xor_si512(a.v, b.v)}; }

// ---- lines of 64 bytes ----
static inline U8 u8_load(const void* p) { return {_mm512_loadu_si512(p)}; }
static inline U8 u8_set1(uint8_t x) { return {_mm512_set1_epi8(static_cast<char>(x))}; }
static inline U8 u8_and(U8 a, U8 b) { return {_mm512_and_si512(a.v, b.v)}; }
static inline U8 u8_or(U8 a, U8 b) { return {_mm512_or_si512(a.v, b.v)}; }
static inline U8 u8_shr(U8 a, int bits) {
  return {_mm512_srli_epi16(a.v, static_cast<unsigned>(bits))};
}
static inline U8 u8_shl(U8 a, int bits) {
  return {_mm512_slli_epi16(a.v, static_cast<unsigned>(bits))};
}

static inline void u8_store(void* p, U8 a) { _mm512_storeu_si512(p, a.v); }
// Byte i of the result = table[i-th byte of `index`], which is below 16.
static inline U8 u8_lookup(const uint8_t* table, U8 index) {
  const __m128i levels = _mm_load_si128(reinterpret_cast<const __m128i*>(table));
  return {_mm512_shuffle_epi8(_mm512_broadcast_i32x4(levels), index.v)};
}

// ---- dot products: exact, lane r of the sum grows by 4 byte (or 2 word) products ----
#ifdef __AVX512VNNI__
template <int kBits>
struct Dot {
  using Sum = I32;
  static constexpr int kRun = 0;
  static constexpr bool kSigned = false;
  static inline I32 add(I32 sum, U8 w, int32_t a4) {
    return {_mm512_dpbusd_epi32(sum.v, w.v, _mm512_set1_epi32(a4))};
  }
};
static inline I32 dot_i16(I32 acc, I32 w_pairs, int32_t a_pair) {
  return {_mm512_dpwssd_epi32(acc.v, w_pairs.v, _mm512_set1_epi32(a_pair))};
}
#else
struct I16 {
  __m512i v;
};
// kRun products of kBits bytes fit 16 bits: 2 * kRun * (2^kBits - 1) * 127 < 32,768. Bytes of 8
// bits are multiplied as byte - 128 = +-|w|: |w| * (+-a), at most 2 * 128 * 127.
template <int kBits>
struct Dot {
  using Sum = I16;
  static constexpr int kRun = kBits <= 4 ? 8 : kBits == 5 ? 4 : kBits == 6 ? 2 : 1;
  static constexpr bool kSigned = kBits == 8;
  static inline I16 start(U8 w, int32_t a4) {
    const __m512i a = _mm512_set1_epi32(a4);
    if constexpr (!kSigned) return {_mm512_maddubs_epi16(w.v, a)};
    const __m512i centred = _mm512_xor_si512(w.v, _mm512_set1_epi8(-128));
    const __mmask64 negative = _mm512_movepi8_mask(centred);
    const __m512i signed_a = _mm512_mask_sub_epi8(a, negative, _mm512_setzero_si512(), a);
    return {_mm512_maddubs_epi16(_mm512_abs_epi8(centred), signed_a)};
  }
  static inline I16 add(I16 sum, U8 w, int32_t a4) {
    return {_mm512_add_epi16(sum.v, start(w, a4).v)};
  }
  static inline I32 widen(I16 sum) { return {_mm512_madd_epi16(sum.v, _mm512_set1_epi16(1))}; }
};
static inline I32 dot_i16(I32 acc, I32 w_pairs, int32_t a_pair) {
  return {_mm512_add_epi32(acc.v, _mm512_madd_epi16(w_pairs.v, _mm512_set1_epi32(a_pair)))};
}
#endif
