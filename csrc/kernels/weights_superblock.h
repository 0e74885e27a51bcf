// The superblock formats: how 256 elements of 16 rows lie in their lines. Included per instruction
// set.
//
// A format says, for one packed block: the bytes of a line as unsigned numbers (kBits of them, the
// true weight is the byte minus kOffset, at most kMostQuant in magnitude), the integer scale of
// each sub-block of 4 * kGroups elements (at most kMostScale in magnitude), d, and, where it has
// minimums, their integers as pairs of words and dmin.

struct SuperBlock {
  const uint8_t* d;     // 16 rows of f16 (and 16 of dmin behind it, where the format has one)
  const uint8_t* body;  // lines, at the offsets of r16.h
};

// Stored in pairs with both scales in front; a last single block has its scales behind.
static PYLLM_INLINE SuperBlock paired_block(const uint8_t* tile, int64_t i, int64_t n,
                                            int64_t body_bytes) {
  const uint8_t* pair = tile + (i / 2) * 2 * (kHalfLine + body_bytes);
  if (i % 2 == 0 && i + 1 == n) return {pair + body_bytes, pair};
  return {pair + kHalfLine * (i % 2), pair + kLine + body_bytes * (i % 2)};
}

static PYLLM_INLINE F32 half_line(const uint8_t* p) {
  return f32_load_f16(reinterpret_cast<const uint16_t*>(p));
}

static PYLLM_INLINE I32 byte_of(I32 v, int i) {
  const I32 low = i32_set1(0xff);
  return i == 0   ? i32_and(v, low)
         : i == 1 ? i32_and(i32_shr<8>(v), low)
         : i == 2 ? i32_and(i32_shr<16>(v), low)
                  : i32_shr<24>(v);
}
static PYLLM_INLINE I32 signed_byte_of(I32 v, int i) {
  return i == 0   ? i32_sar<24>(i32_shl<24>(v))
         : i == 1 ? i32_sar<24>(i32_shl<16>(v))
         : i == 2 ? i32_sar<24>(i32_shl<8>(v))
                  : i32_sar<24>(v);
}
static PYLLM_INLINE I32 word_pair(I32 v, int pair) {  // bytes 2p and 2p+1 of each lane as two words
  const I32 shifted = pair == 0 ? v : i32_shr<16>(v);
  return i32_or(i32_and(shifted, i32_set1(0xff)), i32_shl<8>(i32_and(shifted, i32_set1(0xff00))));
}

// Bits [bit, bit + n) of each byte as bits [to, to + n).
static PYLLM_INLINE U8 move_bits(U8 line, int bit, int to, int n) {
  const U8 moved = bit < to ? u8_shl(line, to - bit) : bit > to ? u8_shr(line, bit - to) : line;
  return u8_and(moved, u8_set1(static_cast<uint8_t>(((1 << n) - 1) << to)));
}
static PYLLM_INLINE U8 nibble(U8 line, int high) { return move_bits(line, high ? 4 : 0, 0, 4); }

// The 6-bit scales and minimums of Q4_K and Q5_K: lines u0, u1, u2 hold the 12 packed bytes of each
// row.
struct ScaleMin {
  I32 scales, mins;  // 4 bytes a lane: the sub-blocks of one half
};
static PYLLM_INLINE ScaleMin scale_min(const uint8_t* lines, int half) {
  const I32 six = i32_set1(0x3f3f3f3f), four = i32_set1(0x0f0f0f0f), top = i32_set1(0x30303030);
  const I32 u0 = i32_load(lines), u1 = i32_load(lines + kLine);
  if (half == 0) return {i32_and(u0, six), i32_and(u1, six)};
  const I32 u2 = i32_load(lines + 2 * kLine);
  return {i32_or(i32_and(u2, four), i32_and(i32_shr<2>(u0), top)),
          i32_or(i32_and(i32_shr<4>(u2), four), i32_and(i32_shr<2>(u1), top))};
}

// What Q4_K and Q5_K share.
struct WithScaleMin {
  static constexpr int kSubs = 4, kGroups = 8;  // sub-blocks in a half, lines in a sub-block
  static constexpr int kOffset = 0;
  static constexpr int kMins = 4;  // minimums in a half
  static constexpr int kMostScale = 63;
  static PYLLM_INLINE I32 scale(const SuperBlock& b, int half, int sub) {
    return byte_of(scale_min(b.body + kQ4_KScales, half).scales, sub);
  }
  static PYLLM_INLINE I32 min_pair(const SuperBlock& b, int half, int pair) {
    return word_pair(scale_min(b.body + kQ4_KScales, half).mins, pair);
  }
  static PYLLM_INLINE F32 d(const SuperBlock& b) { return half_line(b.d); }
  static PYLLM_INLINE F32 dmin(const SuperBlock& b) { return half_line(b.d + kHalfLine); }
};

struct Q4K : WithScaleMin {
  static constexpr int kBits = 4, kMostQuant = 15;
  static constexpr int64_t kBytes = kQ4_KBlock;
  static PYLLM_INLINE SuperBlock block(const uint8_t* tile, int64_t i, int64_t) {
    return {tile + i * kBytes, tile + i * kBytes};
  }
  static PYLLM_INLINE U8 weights(const SuperBlock& b, int half, int sub, int group) {
    return nibble(u8_load(b.body + kQ4_KQuants + kLine * (8 * (2 * half + sub / 2) + group)),
                  sub % 2);
  }
};

struct Q5K : WithScaleMin {
  static constexpr int kBits = 5, kMostQuant = 31;
  static constexpr int64_t kBytes = kQ5_KBlock;
  static PYLLM_INLINE SuperBlock block(const uint8_t* tile, int64_t i, int64_t) {
    return {tile + i * kBytes, tile + i * kBytes};
  }
  static PYLLM_INLINE U8 weights(const SuperBlock& b, int half, int sub, int group) {
    const U8 low = u8_load(b.body + kQ5_KQuants + kLine * (8 * (2 * half + sub / 2) + group));
    const U8 high = u8_load(b.body + kQ5_KHigh + kLine * group);
    return u8_or(nibble(low, sub % 2), move_bits(high, 4 * half + sub, 4, 1));
  }
};

struct Q6K {
  static constexpr int kBits = 6, kSubs = 8, kGroups = 4;
  static constexpr int kOffset = 32, kMins = 0;
  static constexpr int kMostScale = 128, kMostQuant = 32;
  static constexpr int64_t kBytes = kQ6_KBody + kHalfLine;
  static PYLLM_INLINE SuperBlock block(const uint8_t* tile, int64_t i, int64_t n) {
    return paired_block(tile, i, n, kQ6_KBody);
  }
  static PYLLM_INLINE I32 scale(const SuperBlock& b, int half, int sub) {
    return signed_byte_of(i32_load(b.body + kLine * (2 * half + sub / 4)), sub % 4);
  }
  static PYLLM_INLINE F32 d(const SuperBlock& b) { return half_line(b.d); }
  static PYLLM_INLINE U8 weights(const SuperBlock& b, int half, int sub, int group) {
    const uint8_t* lines = b.body + kQ6_KQuants + 3 * kLine * (8 * half + sub);
    if (group < 3) return move_bits(u8_load(lines + kLine * group), 0, 0, 6);
    const U8 low = move_bits(u8_load(lines), 6, 0, 2);
    const U8 middle = move_bits(u8_load(lines + kLine), 6, 2, 2);
    return u8_or(u8_or(low, middle), move_bits(u8_load(lines + 2 * kLine), 6, 4, 2));
  }
};

// What Q2_K and Q3_K share: 2 bits a weight, four 32-element groups to a byte.
static PYLLM_INLINE U8 two_bits(const uint8_t* lines, int half, int sub, int group) {
  return move_bits(u8_load(lines + kLine * (8 * half + 4 * (sub % 2) + group)), 2 * (sub / 2), 0,
                   2);
}

struct Q3K {
  static constexpr int kBits = 3, kSubs = 8, kGroups = 4;
  static constexpr int kOffset = 4, kMins = 0;
  static constexpr int kMostScale = 32, kMostQuant = 4;
  static constexpr int64_t kBytes = kQ3_KBody + kHalfLine;
  static PYLLM_INLINE SuperBlock block(const uint8_t* tile, int64_t i, int64_t n) {
    return paired_block(tile, i, n, kQ3_KBody);
  }
  // Scale i = 8 * half + sub: a nibble of byte i % 8 and two bits of byte 8 + i % 4, minus 32.
  static PYLLM_INLINE I32 scale(const SuperBlock& b, int half, int sub) {
    const uint8_t* lines = b.body + kQ3_KScales;
    const I32 low = byte_of(i32_load(lines + kLine * (sub / 4)), sub % 4);
    const I32 high = byte_of(i32_load(lines + 2 * kLine), sub % 4);
    const I32 nib = i32_and(half ? i32_shr<4>(low) : low, i32_set1(15));
    const int at = 2 * half + sub / 4;
    const I32 moved = at == 0   ? i32_shl<4>(high)
                      : at == 1 ? i32_shl<2>(high)
                      : at == 2 ? high
                                : i32_shr<2>(high);
    return i32_sub(i32_or(nib, i32_and(moved, i32_set1(0x30))), i32_set1(32));
  }
  static PYLLM_INLINE F32 d(const SuperBlock& b) { return half_line(b.d); }
  static PYLLM_INLINE U8 weights(const SuperBlock& b, int half, int sub, int group) {
    const U8 high = u8_load(b.body + kLine * (4 * (sub % 2) + group));
    return u8_or(two_bits(b.body + kQ3_KLow, half, sub, group),
                 move_bits(high, 4 * half + sub / 2, 2, 1));
  }
};

struct Q2K {
  static constexpr int kBits = 2, kSubs = 8, kGroups = 4;
  static constexpr int kOffset = 0;
  static constexpr int kMins = 8;
  static constexpr int kMostScale = 15, kMostQuant = 3;
  static constexpr int64_t kBytes = kQ2_KBlock;
  static PYLLM_INLINE SuperBlock block(const uint8_t* tile, int64_t i, int64_t) {
    return {tile + i * kBytes, tile + i * kBytes};
  }
  static PYLLM_INLINE I32 scale(const SuperBlock& b, int half, int sub) {
    const I32 both =
        byte_of(i32_load(b.body + kQ2_KScales + kLine * (2 * half + sub / 4)), sub % 4);
    return i32_and(both, i32_set1(15));
  }
  static PYLLM_INLINE I32 min_pair(const SuperBlock& b, int half, int pair) {
    const I32 both = i32_load(b.body + kQ2_KScales + kLine * (2 * half + pair / 2));
    return word_pair(i32_and(i32_shr<4>(both), i32_set1(0x0f0f0f0f)), pair % 2);
  }
  static PYLLM_INLINE F32 d(const SuperBlock& b) { return half_line(b.d); }
  static PYLLM_INLINE F32 dmin(const SuperBlock& b) { return half_line(b.d + kHalfLine); }
  static PYLLM_INLINE U8 weights(const SuperBlock& b, int half, int sub, int group) {
    return two_bits(b.body + kQ2_KQuants, half, sub, group);
  }
};

// The 16 levels of IQ4_NL and IQ4_XS, plus 128.
alignas(16) static const uint8_t kIQ4Levels[16] = {1,   24,  45,  63,  79,  93,  106, 118,
                                                   129, 141, 153, 166, 181, 197, 217, 241};

struct IQ4XS {
  static constexpr int kBits = 8, kSubs = 4, kGroups = 8;
  static constexpr int kOffset = 128, kMins = 0;
  static constexpr int kMostScale = 32, kMostQuant = 127;
  static constexpr int64_t kBytes = kIQ4_XSBlock;
  static PYLLM_INLINE SuperBlock block(const uint8_t* tile, int64_t i, int64_t) {
    return {tile + i * kBytes, tile + i * kBytes};
  }
  // Scale i = 4 * half + sub: nibble i of a dword and bits 2i of a word, minus 32.
  static PYLLM_INLINE I32 scale(const SuperBlock& b, int half, int sub) {
    const I32 bytes = byte_of(i32_load(b.body + kIQ4_XSScales), 2 * half + sub / 2);
    const I32 low = i32_and(sub % 2 ? i32_shr<4>(bytes) : bytes, i32_set1(15));
    const I32 words = i32_load_u16(b.d + kHalfLine);
    const I32 top = half ? i32_shr<8>(words) : words;
    const I32 moved = sub == 0   ? i32_shl<4>(top)
                      : sub == 1 ? i32_shl<2>(top)
                      : sub == 2 ? top
                                 : i32_shr<2>(top);
    return i32_sub(i32_or(low, i32_and(moved, i32_set1(0x30))), i32_set1(32));
  }
  static PYLLM_INLINE F32 d(const SuperBlock& b) { return half_line(b.d); }
  static PYLLM_INLINE U8 weights(const SuperBlock& b, int half, int sub, int group) {
    const uint8_t* lines = b.body + kIQ4_XSQuants + kLine * 4 * (4 * half + sub);
    return u8_lookup(kIQ4Levels, nibble(u8_load(lines + kLine * (group % 4)), group / 4));
  }
};
