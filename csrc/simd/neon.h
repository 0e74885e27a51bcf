// The 16-lane vocabulary on 64-bit Arm: four q registers each, rows 0-3, 4-7, 8-11 and 12-15.
// With __ARM_FEATURE_DOTPROD or __ARM_FEATURE_MATMUL_INT8 a dot product is one instruction a
// quarter. Included inside a namespace of its own.

struct F32 {
  float32x4_t a, b, c, d;
};
struct I32 {
  int32x4_t a, b, c, d;
};
struct U8 {  // lane r of a line = bytes 4r .. 4r+3
  uint8x16_t a, b, c, d;
};

// Applies an operation to the four quarters of its operands.
#define PYLLM_QUARTERS_1(op, x) {op((x).a), op((x).b), op((x).c), op((x).d)}
#define PYLLM_QUARTERS_2(op, x, y) \
  {op((x).a, (y).a), op((x).b, (y).b), op((x).c, (y).c), op((x).d, (y).d)}

// ---- float ----
static inline F32 f32_set1(float x) {
  const float32x4_t v = vdupq_n_f32(x);
  return {v, v, v, v};
}
static inline F32 f32_zero() { return f32_set1(0.0f); }
static inline F32 f32_load(const float* p) {
  return {vld1q_f32(p), vld1q_f32(p + 4), vld1q_f32(p + 8), vld1q_f32(p + 12)};
}
static inline void f32_store(float* p, F32 x) {
  vst1q_f32(p, x.a);
  vst1q_f32(p + 4, x.b);
  vst1q_f32(p + 8, x.c);
  vst1q_f32(p + 12, x.d);
}
static inline F32 f32_load_n(const float* p, int64_t n) {
  if (n == 16) return f32_load(p);
  float lanes[16] = {};
  memcpy(lanes, p, static_cast<size_t>(n) * sizeof(float));
  return f32_load(lanes);
}
static inline void f32_store_n(float* p, F32 x, int64_t n) {
  if (n == 16) return f32_store(p, x);
  float lanes[16];
  f32_store(lanes, x);
  memcpy(p, lanes, static_cast<size_t>(n) * sizeof(float));
}
// The second operand when unordered or both are zero, as maxps; fmax and fmin would choose
// otherwise.
static inline float32x4_t larger(float32x4_t x, float32x4_t y) {
  return vbslq_f32(vcgtq_f32(x, y), x, y);
}
static inline float32x4_t smaller(float32x4_t x, float32x4_t y) {
  return vbslq_f32(vcltq_f32(x, y), x, y);
}
#define PYLLM_F32_BINARY(name, op) \
  static inline F32 name(F32 x, F32 y) { return PYLLM_QUARTERS_2(op, x, y); }
PYLLM_F32_BINARY(f32_add, vaddq_f32)
PYLLM_F32_BINARY(f32_sub, vsubq_f32)
PYLLM_F32_BINARY(f32_mul, vmulq_f32)
PYLLM_F32_BINARY(f32_div, vdivq_f32)
PYLLM_F32_BINARY(f32_max, larger)
PYLLM_F32_BINARY(f32_min, smaller)
#undef PYLLM_F32_BINARY
static inline F32 f32_fma(F32 x, F32 y, F32 z) {
  return {vfmaq_f32(z.a, x.a, y.a), vfmaq_f32(z.b, x.b, y.b), vfmaq_f32(z.c, x.c, y.c),
          vfmaq_f32(z.d, x.d, y.d)};
}
static inline F32 f32_fnma(F32 x, F32 y, F32 z) {
  return {vfmsq_f32(z.a, x.a, y.a), vfmsq_f32(z.b, x.b, y.b), vfmsq_f32(z.c, x.c, y.c),
          vfmsq_f32(z.d, x.d, y.d)};
}
static inline F32 f32_abs(F32 x) { return PYLLM_QUARTERS_1(vabsq_f32, x); }
static inline F32 f32_sqrt(F32 x) { return PYLLM_QUARTERS_1(vsqrtq_f32, x); }
static inline float32x4_t widen_f16(const uint16_t* p) {
  return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p)));
}
static inline F32 f32_load_f16(const uint16_t* p) {
  return {widen_f16(p), widen_f16(p + 4), widen_f16(p + 8), widen_f16(p + 12)};
}
static inline void f32_store_f16(uint16_t* p, F32 x) {
  vst1_u16(p, vreinterpret_u16_f16(vcvt_f16_f32(x.a)));
  vst1_u16(p + 4, vreinterpret_u16_f16(vcvt_f16_f32(x.b)));
  vst1_u16(p + 8, vreinterpret_u16_f16(vcvt_f16_f32(x.c)));
  vst1_u16(p + 12, vreinterpret_u16_f16(vcvt_f16_f32(x.d)));
}
static inline float32x4_t widen_bf16(const uint16_t* p) {
  return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p), 16));
}
static inline F32 f32_load_bf16(const uint16_t* p) {
  return {widen_bf16(p), widen_bf16(p + 4), widen_bf16(p + 8), widen_bf16(p + 12)};
}
static inline F32 f32_from_i32(I32 x) { return PYLLM_QUARTERS_1(vcvtq_f32_s32, x); }
// The conversion saturates: from 2^31 up and for NaN it is replaced by INT32_MIN, as cvtps2dq.
static inline int32x4_t round_to_i32(float32x4_t x) {
  const uint32x4_t fits = vcltq_f32(x, vdupq_n_f32(2147483648.0f));
  return vbslq_s32(fits, vcvtnq_s32_f32(x), vdupq_n_s32(INT32_MIN));
}
static inline I32 f32_round_to_i32(F32 x) { return PYLLM_QUARTERS_1(round_to_i32, x); }
static inline float32x4_t scale_pow2(float32x4_t x, int32x4_t n) {
  const int32x4_t exponent = vshlq_n_s32(vaddq_s32(n, vdupq_n_s32(127)), 23);
  return vmulq_f32(x, vreinterpretq_f32_s32(exponent));
}
static inline F32 f32_scale_pow2(F32 x, I32 n) { return PYLLM_QUARTERS_2(scale_pow2, x, n); }
static inline float f32_reduce_add(F32 x) {
  const float32x4_t s4 = vaddq_f32(vaddq_f32(x.a, x.c), vaddq_f32(x.b, x.d));
  const float32x2_t s2 = vadd_f32(vget_low_f32(s4), vget_high_f32(s4));
  return vget_lane_f32(s2, 0) + vget_lane_f32(s2, 1);
}
static inline float f32_reduce_max(F32 x) {
  const float32x4_t s4 = larger(larger(x.a, x.c), larger(x.b, x.d));
  const float32x4_t s2 = larger(s4, vextq_f32(s4, s4, 2));
  return vgetq_lane_f32(larger(s2, vextq_f32(s2, s2, 1)), 0);
}

// ---- int32 ----
static inline I32 i32_set1(int32_t x) {
  const int32x4_t v = vdupq_n_s32(x);
  return {v, v, v, v};
}
static inline I32 i32_zero() { return i32_set1(0); }
static inline int32x4_t load_128(const uint8_t* p) { return vreinterpretq_s32_u8(vld1q_u8(p)); }
static inline I32 i32_load(const void* p) {
  const auto* bytes = static_cast<const uint8_t*>(p);
  return {load_128(bytes), load_128(bytes + 16), load_128(bytes + 32), load_128(bytes + 48)};
}
static inline void i32_store(void* p, I32 x) {
  auto* bytes = static_cast<uint8_t*>(p);
  vst1q_u8(bytes, vreinterpretq_u8_s32(x.a));
  vst1q_u8(bytes + 16, vreinterpretq_u8_s32(x.b));
  vst1q_u8(bytes + 32, vreinterpretq_u8_s32(x.c));
  vst1q_u8(bytes + 48, vreinterpretq_u8_s32(x.d));
}
#define PYLLM_I32_BINARY(name, op) \
  static inline I32 name(I32 x, I32 y) { return PYLLM_QUARTERS_2(op, x, y); }
PYLLM_I32_BINARY(i32_add, vaddq_s32)
PYLLM_I32_BINARY(i32_sub, vsubq_s32)
PYLLM_I32_BINARY(i32_mul, vmulq_s32)
PYLLM_I32_BINARY(i32_and, vandq_s32)
PYLLM_I32_BINARY(i32_or, vorrq_s32)
PYLLM_I32_BINARY(i32_xor, veorq_s32)
#undef PYLLM_I32_BINARY
template <int kBits>
static inline I32 i32_shl(I32 x) {
  return {vshlq_n_s32(x.a, kBits), vshlq_n_s32(x.b, kBits), vshlq_n_s32(x.c, kBits),
          vshlq_n_s32(x.d, kBits)};
}
template <int kBits>
static inline int32x4_t shift_right(int32x4_t x) {
  return vreinterpretq_s32_u32(vshrq_n_u32(vreinterpretq_u32_s32(x), kBits));
}
template <int kBits>
static inline I32 i32_shr(I32 x) {
  return PYLLM_QUARTERS_1(shift_right<kBits>, x);
}
template <int kBits>
static inline I32 i32_sar(I32 x) {
  return {vshrq_n_s32(x.a, kBits), vshrq_n_s32(x.b, kBits), vshrq_n_s32(x.c, kBits),
          vshrq_n_s32(x.d, kBits)};
}
static inline int32_t i32_reduce_add(I32 x) {
  return vaddvq_s32(vaddq_s32(vaddq_s32(x.a, x.b), vaddq_s32(x.c, x.d)));
}
static inline int16x8_t low_words(int32x4_t x, int32x4_t y) {
  return vuzp1q_s16(vreinterpretq_s16_s32(x), vreinterpretq_s16_s32(y));
}
static inline void i32_store_s8(int8_t* p, I32 x) {
  const int8x16_t low = vreinterpretq_s8_s16(low_words(x.a, x.b));
  vst1q_s8(p, vuzp1q_s8(low, vreinterpretq_s8_s16(low_words(x.c, x.d))));
}
static inline void i32_store_u16(uint16_t* p, I32 x) {
  vst1q_u16(p, vreinterpretq_u16_s16(low_words(x.a, x.b)));
  vst1q_u16(p + 8, vreinterpretq_u16_s16(low_words(x.c, x.d)));
}
static inline int32x4_t gather_quarter(const uint8_t* base, int64_t stride) {
  int32_t lanes[4];
  for (int i = 0; i < 4; ++i) memcpy(&lanes[i], base + i * stride, sizeof lanes[i]);
  const int32x4_t first = vsetq_lane_s32(lanes[1], vdupq_n_s32(lanes[0]), 1);
  return vsetq_lane_s32(lanes[3], vsetq_lane_s32(lanes[2], first, 2), 3);
}
// Lane i = the 4 bytes at base + i * stride.
static inline I32 i32_gather(const uint8_t* base, int32_t stride) {
  const int64_t step = stride;
  return {gather_quarter(base, step), gather_quarter(base + 4 * step, step),
          gather_quarter(base + 8 * step, step), gather_quarter(base + 12 * step, step)};
}

static inline int32x4_t widen_u16(uint16x4_t x) { return vreinterpretq_s32_u32(vmovl_u16(x)); }
static inline I32 widen_words(uint16x8_t low, uint16x8_t high) {
  return {widen_u16(vget_low_u16(low)), widen_u16(vget_high_u16(low)),
          widen_u16(vget_low_u16(high)), widen_u16(vget_high_u16(high))};
}
static inline I32 i32_load_u8(const uint8_t* p) {
  const uint8x16_t bytes = vld1q_u8(p);
  return widen_words(vmovl_u8(vget_low_u8(bytes)), vmovl_high_u8(bytes));
}
static inline I32 i32_load_u16(const uint8_t* p) {
  return widen_words(vreinterpretq_u16_u8(vld1q_u8(p)), vreinterpretq_u16_u8(vld1q_u8(p + 16)));
}
static inline F32 f32_from_bits(I32 x) { return PYLLM_QUARTERS_1(vreinterpretq_f32_s32, x); }

// ---- lines of 64 bytes ----
static inline U8 u8_load(const void* p) {
  const auto* bytes = static_cast<const uint8_t*>(p);
  return {vld1q_u8(bytes), vld1q_u8(bytes + 16), vld1q_u8(bytes + 32), vld1q_u8(bytes + 48)};
}
static inline U8 u8_set1(uint8_t x) {
  const uint8x16_t v = vdupq_n_u8(x);
  return {v, v, v, v};
}
static inline U8 u8_and(U8 x, U8 y) { return PYLLM_QUARTERS_2(vandq_u8, x, y); }
static inline U8 u8_or(U8 x, U8 y) { return PYLLM_QUARTERS_2(vorrq_u8, x, y); }
// Operators, because the intrinsics want a literal; a constant count becomes an immediate.
static inline U8 u8_shr(U8 x, int bits) {
  const uint8x16_t n = vdupq_n_u8(static_cast<uint8_t>(bits));
  return {x.a >> n, x.b >> n, x.c >> n, x.d >> n};
}
static inline U8 u8_shl(U8 x, int bits) {
  const uint8x16_t n = vdupq_n_u8(static_cast<uint8_t>(bits));
  return {x.a << n, x.b << n, x.c << n, x.d << n};
}

static inline void u8_store(void* p, U8 x) {
  auto* bytes = static_cast<uint8_t*>(p);
  vst1q_u8(bytes, x.a);
  vst1q_u8(bytes + 16, x.b);
  vst1q_u8(bytes + 32, x.c);
  vst1q_u8(bytes + 48, x.d);
}

// Byte i of the result = table[i-th byte of `index`], which is below 16.
static inline U8 u8_lookup(const uint8_t* table, U8 index) {
  const uint8x16_t levels = vld1q_u8(table);
  return {vqtbl1q_u8(levels, index.a), vqtbl1q_u8(levels, index.b), vqtbl1q_u8(levels, index.c),
          vqtbl1q_u8(levels, index.d)};
}

// ---- dot products: exact, lane r of the sum grows by 4 byte (or 2 word) products ----
static inline int8x16_t broadcast_4(int32_t a4) { return vreinterpretq_s8_s32(vdupq_n_s32(a4)); }
static inline U8 minus_128(U8 w) {  // as signed bytes
  const uint8x16_t top = vdupq_n_u8(128);
  return {veorq_u8(w.a, top), veorq_u8(w.b, top), veorq_u8(w.c, top), veorq_u8(w.d, top)};
}
#if defined(__ARM_FEATURE_MATMUL_INT8)
template <int kBits>
struct Dot {
  using Sum = I32;
  static constexpr int kRun = 0;
  static constexpr bool kSigned = false;
  static inline I32 add(I32 sum, U8 w, int32_t a4) {
    const int8x16_t a = broadcast_4(a4);
    return {vusdotq_s32(sum.a, w.a, a), vusdotq_s32(sum.b, w.b, a), vusdotq_s32(sum.c, w.c, a),
            vusdotq_s32(sum.d, w.d, a)};
  }
};
#elif defined(__ARM_FEATURE_DOTPROD)
static inline int32x4_t dot_quarter(int32x4_t sum, uint8x16_t w, int8x16_t a) {
  return vdotq_s32(sum, vreinterpretq_s8_u8(w), a);
}
// Both sides are signed: bytes of 8 bits are multiplied as byte - 128.
template <int kBits>
struct Dot {
  using Sum = I32;
  static constexpr int kRun = 0;
  static constexpr bool kSigned = kBits == 8;
  static inline I32 add(I32 sum, U8 w, int32_t a4) {
    const U8 v = kSigned ? minus_128(w) : w;
    const int8x16_t a = broadcast_4(a4);
    return {dot_quarter(sum.a, v.a, a), dot_quarter(sum.b, v.b, a), dot_quarter(sum.c, v.c, a),
            dot_quarter(sum.d, v.d, a)};
  }
};
#else
struct I16 {  // a word per byte of a line: rows 0-1 and 2-3, 4-5 and 6-7, ...
  int16x8_t a, a2, b, b2, c, c2, d, d2;
};
static inline int16x8_t multiply_low(uint8x16_t w, int8x16_t a) {
  return vmull_s8(vget_low_s8(vreinterpretq_s8_u8(w)), vget_low_s8(a));
}
static inline int16x8_t multiply_high(uint8x16_t w, int8x16_t a) {
  return vmull_high_s8(vreinterpretq_s8_u8(w), a);
}
static inline int16x8_t add_low(int16x8_t sum, uint8x16_t w, int8x16_t a) {
  return vmlal_s8(sum, vget_low_s8(vreinterpretq_s8_u8(w)), vget_low_s8(a));
}
static inline int16x8_t add_high(int16x8_t sum, uint8x16_t w, int8x16_t a) {
  return vmlal_high_s8(sum, vreinterpretq_s8_u8(w), a);
}
static inline int32x4_t widen_quarter(int16x8_t low, int16x8_t high) {
  return vpaddq_s32(vpaddlq_s16(low), vpaddlq_s16(high));
}
// kRun products of kBits bytes fit 16 bits: kRun * (2^kBits - 1) * 127 < 32,768; bytes of 8 bits
// are multiplied as byte - 128, at most 2 * 128 * 127.
template <int kBits>
struct Dot {
  using Sum = I16;
  static constexpr int kRun = kBits <= 5 ? 8 : kBits == 6 ? 4 : 2;
  static constexpr bool kSigned = kBits == 8;
  static inline I16 start(U8 w, int32_t a4) {
    const U8 v = kSigned ? minus_128(w) : w;
    const int8x16_t a = broadcast_4(a4);
    return {multiply_low(v.a, a),  multiply_high(v.a, a), multiply_low(v.b, a),
            multiply_high(v.b, a), multiply_low(v.c, a),  multiply_high(v.c, a),
            multiply_low(v.d, a),  multiply_high(v.d, a)};
  }
  static inline I16 add(I16 sum, U8 w, int32_t a4) {
    const U8 v = kSigned ? minus_128(w) : w;
    const int8x16_t a = broadcast_4(a4);
    return {add_low(sum.a, v.a, a),   add_high(sum.a2, v.a, a), add_low(sum.b, v.b, a),
            add_high(sum.b2, v.b, a), add_low(sum.c, v.c, a),   add_high(sum.c2, v.c, a),
            add_low(sum.d, v.d, a),   add_high(sum.d2, v.d, a)};
  }
  static inline I32 widen(I16 sum) {
    return {widen_quarter(sum.a, sum.a2), widen_quarter(sum.b, sum.b2),
            widen_quarter(sum.c, sum.c2), widen_quarter(sum.d, sum.d2)};
  }
};
#endif
static inline int32x4_t dot_i16_quarter(int32x4_t acc, int32x4_t w_pairs, int16x8_t a) {
  const int16x8_t w = vreinterpretq_s16_s32(w_pairs);
  const int32x4_t low = vmull_s16(vget_low_s16(w), vget_low_s16(a));
  return vaddq_s32(acc, vpaddq_s32(low, vmull_high_s16(w, a)));
}
static inline I32 dot_i16(I32 acc, I32 w_pairs, int32_t a_pair) {
  const int16x8_t a = vreinterpretq_s16_s32(vdupq_n_s32(a_pair));
  return {dot_i16_quarter(acc.a, w_pairs.a, a), dot_i16_quarter(acc.b, w_pairs.b, a),
          dot_i16_quarter(acc.c, w_pairs.c, a), dot_i16_quarter(acc.d, w_pairs.d, a)};
}

#undef PYLLM_QUARTERS_1
#undef PYLLM_QUARTERS_2
