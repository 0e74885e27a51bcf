// The block formats: how 32 elements of 16 rows lie in their lines. Included per instruction set.
// A weight is (byte - kOffset) * d, and + m where the format has one (kMin).

struct Q4_0 {
  static constexpr int kBits = 4, kOffset = 8, kBody = kQ4_0Body;
  static constexpr bool kMin = false, kPlain = false;
  static constexpr int64_t kBytes = kBody + kHalfLine;
  static inline SuperBlock block(const uint8_t* tile, int64_t i, int64_t n) {
    return paired_block(tile, i, n, kBody);
  }
  static inline F32 d(const SuperBlock& b) { return half_line(b.d); }
  static inline U8 weights(const SuperBlock& b, int group) {
    return nibble(u8_load(b.body + kLine * (group % 4)), group / 4);
  }
};

struct Q8_0 {
  static constexpr int kBits = 8, kOffset = 128, kBody = kQ8_0Body;
  static constexpr bool kMin = false, kPlain = true;  // lines are bytes already
  static constexpr int64_t kBytes = kBody + kHalfLine;
  static inline SuperBlock block(const uint8_t* tile, int64_t i, int64_t n) {
    return paired_block(tile, i, n, kBody);
  }
  static inline F32 d(const SuperBlock& b) { return half_line(b.d); }
  static inline U8 weights(const SuperBlock& b, int group) {
    return u8_load(b.body + kLine * group);
  }
};
