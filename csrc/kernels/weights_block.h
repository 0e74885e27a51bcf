// The block formats: how 32 elements of 16 rows lie in their lines. Included per instruction set.
// A weight is (byte - kOffset) * d, and + m where the format has one (kMin).

// Line of k = 4 * group.. 4 * group + 3: nibbles as Q4_0 keeps them.
static PYLLM_INLINE U8 nibble_line(const uint8_t* lines, int group) {
  return nibble(u8_load(lines + kLine * (group % 4)), group / 4);
}

// Blocks with a line of d and m in front.
template <int64_t kBlockBytes>
struct WithMinimum {
  static constexpr int kOffset = 0;
  static constexpr bool kMin = true, kPlain = false;
  static constexpr int64_t kBytes = kBlockBytes;
  static PYLLM_INLINE SuperBlock block(const uint8_t* tile, int64_t i, int64_t) {
    return {tile + i * kBytes, tile + i * kBytes + kLine};
  }
  static PYLLM_INLINE F32 d(const SuperBlock& b) { return half_line(b.d); }
  static PYLLM_INLINE F32 m(const SuperBlock& b) { return half_line(b.d + kHalfLine); }
};

// Blocks with an f16 scale, stored in pairs.
template <int64_t kBodyBytes>
struct WithScale {
  static constexpr bool kMin = false, kPlain = false;
  static constexpr int64_t kBytes = kBodyBytes + kHalfLine;
  static PYLLM_INLINE SuperBlock block(const uint8_t* tile, int64_t i, int64_t n) {
    return paired_block(tile, i, n, kBodyBytes);
  }
  static PYLLM_INLINE F32 d(const SuperBlock& b) { return half_line(b.d); }
};

struct Q4_0 : WithScale<kQ4_0Body> {
  static constexpr int kBits = 4, kOffset = 8;
  static PYLLM_INLINE U8 weights(const SuperBlock& b, int group) {
    return nibble_line(b.body, group);
  }
};

struct Q4_1 : WithMinimum<kQ4_1Block> {
  static constexpr int kBits = 4;
  static PYLLM_INLINE U8 weights(const SuperBlock& b, int group) {
    return nibble_line(b.body, group);
  }
};

static PYLLM_INLINE U8 five_bits(const uint8_t* lines, int group) {
  return u8_or(nibble_line(lines + kLine, group), move_bits(u8_load(lines), group, 4, 1));
}

struct Q5_0 : WithScale<kQ5_0Body> {
  static constexpr int kBits = 5, kOffset = 16;
  static PYLLM_INLINE U8 weights(const SuperBlock& b, int group) {
    return five_bits(b.body, group);
  }
};

struct Q5_1 : WithMinimum<kQ5_1Block> {
  static constexpr int kBits = 5;
  static PYLLM_INLINE U8 weights(const SuperBlock& b, int group) {
    return five_bits(b.body, group);
  }
};

struct Q8_0 : WithScale<kQ8_0Body> {
  static constexpr int kBits = 8, kOffset = 128;
  static constexpr bool kPlain = true;  // lines are bytes already
  static PYLLM_INLINE U8 weights(const SuperBlock& b, int group) {
    return u8_load(b.body + kLine * group);
  }
};

struct IQ4NL : WithScale<kQ4_0Body> {
  static constexpr int kBits = 8, kOffset = 128;
  static PYLLM_INLINE U8 weights(const SuperBlock& b, int group) {
    return u8_lookup(kIQ4Levels, nibble_line(b.body, group));
  }
};

// Twice the E2M1 values 0, 0.5, 1, 1.5, 2, 3, 4, 6 and their negatives, plus 16.
alignas(16) static const uint8_t kFp4Levels[16] = {16, 17, 18, 19, 20, 22, 24, 28,
                                                   16, 15, 14, 13, 12, 10, 8,  4};

struct MXFP4 {
  static constexpr int kBits = 5, kOffset = 16;
  static constexpr bool kMin = false, kPlain = false;
  static constexpr int64_t kBytes = kMXFP4Body + kQuarterLine;
  static PYLLM_INLINE SuperBlock block(const uint8_t* tile, int64_t i, int64_t n) {
    const int64_t first = i / 4 * 4, in_group = i % 4;
    const uint8_t* group = tile + first * kBytes;
    const int64_t left = n - first;
    if (left >= 4) return {group + kQuarterLine * in_group, group + kLine + kMXFP4Body * in_group};
    return {group + kMXFP4Body * left + kQuarterLine * in_group, group + kMXFP4Body * in_group};
  }
  // 2^(e - 128), subnormal for e < 2: there the second number is the larger one.
  static PYLLM_INLINE F32 d(const SuperBlock& b) {
    const I32 e = i32_load_u8(b.d);
    const I32 normal = i32_shl<23>(i32_sub(e, i32_set1(1)));
    const I32 subnormal = i32_shl<21>(i32_add(e, i32_set1(1)));
    return f32_max(f32_from_bits(normal), f32_from_bits(subnormal));
  }
  static PYLLM_INLINE U8 weights(const SuperBlock& b, int group) {
    return u8_lookup(kFp4Levels, nibble_line(b.body, group));
  }
};
