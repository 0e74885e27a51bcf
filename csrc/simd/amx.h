// The tile registers of AMX: eight of 16 rows of 64 bytes. Included inside the namespace of
// csrc/isa/amx.cpp.
//
// Assembly instead of the compiler's intrinsics, because GCC's do not tell it that a tile load
// reads memory: it may move a store past them.

// What LDTILECFG reads. Products take m rows of a left tile (m x 4k bytes), a right tile (k x 4n
// bytes) and a sum (m x n words of 32 bits).
struct alignas(64) TileShapes {
  uint8_t palette = 1, start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};

  inline void set(int tile, int64_t n_rows, int64_t n_row_bytes) {
    rows[tile] = static_cast<uint8_t>(n_rows);
    row_bytes[tile] = static_cast<uint16_t>(n_row_bytes);
  }
};

static inline void tiles_configure(const TileShapes& shapes) {
  __asm__ volatile("ldtilecfg %0" : : "m"(shapes) : "memory");
}
static inline void tiles_release() { __asm__ volatile("tilerelease" : : : "memory"); }

template <int kTile>
static inline void tile_zero() {
  __asm__ volatile("tilezero %%tmm%c0" : : "i"(kTile));
}
template <int kTile>
static inline void tile_load(const void* p, int64_t stride) {
  __asm__ volatile("tileloadd (%0,%1,1), %%tmm%c2" : : "r"(p), "r"(stride), "i"(kTile) : "memory");
}
template <int kTile>
static inline void tile_store(void* p, int64_t stride) {
  __asm__ volatile("tilestored %%tmm%c2, (%0,%1,1)" : : "r"(p), "r"(stride), "i"(kTile) : "memory");
}
// Tile kSum += signed bytes of kLeft times the bytes of kRight.
template <int kSum, int kLeft, int kRight, bool kRightSigned>
static inline void tile_dot() {
  if constexpr (kRightSigned)
    __asm__ volatile("tdpbssd %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(kSum), "i"(kLeft), "i"(kRight));
  else
    __asm__ volatile("tdpbsud %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(kSum), "i"(kLeft), "i"(kRight));
}

// ---- words of 16 bits ----
static inline I32 i16_mul(I32 a, I32 b) { return {_mm512_mullo_epi16(a.v, b.v)}; }
static inline I32 i16_sub(I32 a, I32 b) { return {_mm512_sub_epi16(a.v, b.v)}; }
// Byte products of unsigned a and signed b, summed in pairs.
static inline I32 i16_dot_u8(U8 a, I32 b) { return {_mm512_maddubs_epi16(a.v, b.v)}; }
// sum += the products of both words of each lane with themselves.
static inline I32 square_words(I32 sum, I32 words) {
  return {_mm512_dpwssd_epi32(sum.v, words.v, words.v)};
}
// The low bytes of both, and the high bytes: those of `even` in the even places. By shuffles, which
// have a port of their own; shifts would take the one that the products need.
static inline __m512i other_bytes() {  // the places of the bytes of each word, exchanged
  return _mm512_broadcast_i32x4(_mm_set_epi64x(0x0e0f0c0d0a0b0809, 0x0607040502030001));
}
static inline I32 low_bytes(I32 even, I32 odd) {
  return {_mm512_mask_shuffle_epi8(even.v, 0xaaaaaaaaaaaaaaaau, odd.v, other_bytes())};
}
static inline I32 high_bytes(I32 even, I32 odd) {
  return {_mm512_mask_shuffle_epi8(odd.v, 0x5555555555555555u, even.v, other_bytes())};
}
static inline U8 i8_sub(U8 a, U8 b) { return {_mm512_sub_epi8(a.v, b.v)}; }
static inline I32 as_words(U8 a) { return {a.v}; }

static inline F32 f32_from_u32(I32 a) { return {_mm512_cvtepu32_ps(a.v)}; }
