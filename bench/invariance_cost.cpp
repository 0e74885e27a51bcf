// invariance_cost: the canonical arithmetic of two hot loops beside an order that nobody has to
// keep. Compiled for this very machine.
// Prints one line per case: name, median of canonical / free, nanoseconds of both at their best.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <vector>

#include "formats/half.h"
#include "kernels/r16.h"
#include "kernels/table.h"

// As csrc/isa/avx512vnni.cpp and the others have it.
#if defined(__AVX512F__)
#include <immintrin.h>
#define BENCH_SIMD "simd/avx512.h"
#define BENCH_TILE_GROUP 2
#define BENCH_TOKEN_GROUP 6
#if defined(__AVX512VNNI__)
#define PYLLM_ISA_STREAM_INTO kIntoL2
#define PYLLM_ISA_STREAM_TILES 8
#endif
#elif defined(__AVX2__)
#include <immintrin.h>
#define BENCH_SIMD "simd/avx2.h"
#define BENCH_TILE_GROUP 1
#define BENCH_TOKEN_GROUP 3
#if !defined(__AVXVNNI__)
#define PYLLM_ISA_STREAM_INTO kIntoL2
#endif
#elif defined(__aarch64__)
#include <arm_neon.h>
#define BENCH_SIMD "simd/neon.h"
#define BENCH_TILE_GROUP 1
#if defined(__ARM_FEATURE_DOTPROD)
#define BENCH_TOKEN_GROUP 4
#else
#define BENCH_TOKEN_GROUP 3
#endif
#endif
#define PYLLM_ISA_UNROLL

namespace pyllm {

bool panels_pay() { return true; }  // nothing here asks

namespace {

#include BENCH_SIMD

constexpr int64_t kTileGroup = BENCH_TILE_GROUP;
constexpr int64_t kTokenGroup = BENCH_TOKEN_GROUP;

// clang-format off
#include "kernels/matmul.h"
#include "kernels/exp.h"
#include "kernels/attention_tiles.h"
#include "kernels/kv_load.h"
#include "kernels/attention.h"
// clang-format on

constexpr int kRounds = 41;

template <class Run>
double nanoseconds(const Run& run) {
  const auto start = std::chrono::steady_clock::now();
  run();
  return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - start).count();
}

// Both by turns, each first as often as the other.
template <class Canonical, class Free>
void compare(const char* name, const Canonical& canonical, const Free& free_order) {
  std::vector<double> ratios;
  double best[2] = {1e18, 1e18};
  canonical(), free_order();
  for (int round = 0; round < kRounds; ++round) {
    double taken[2];
    for (int i = 0; i < 2; ++i) {
      const int which = (round + i) % 2;
      taken[which] = which == 0 ? nanoseconds(canonical) : nanoseconds(free_order);
      best[which] = std::min(best[which], taken[which]);
    }
    ratios.push_back(taken[0] / taken[1]);
  }
  std::nth_element(ratios.begin(), ratios.begin() + kRounds / 2, ratios.end());
  std::printf("%s;%.4f;%.0f;%.0f\n", name, ratios[kRounds / 2], best[0], best[1]);
  std::fflush(stdout);
}

// Bytes that read as small numbers in every format: no sum overflows, none is denormal.
template <class T>
std::vector<T> random_values(size_t n, T low, T high) {
  std::mt19937 random(7);
  std::vector<T> values(n + 64 / sizeof(T));
  for (T& value : values)
    value = static_cast<T>(low + static_cast<double>(high - low) * random() / 4294967296.0);
  return values;
}

template <class T>
T* aligned(std::vector<T>& values) {
  return reinterpret_cast<T*>((reinterpret_cast<uintptr_t>(values.data()) + 63) / 64 * 64);
}

// ---- matmul: one chain of sums per output, or two that are added at the end ----

template <class F, int R, int T>
void multiply_in_two_chains(const MatmulTile& tile) {
  Tokens<ActBlock256, T> tokens(tile, tile.block);
  F32 sum[R][T], other[R][T];
  load_sums(tile, sum);
  PYLLM_UNROLL for (int r = 0; r < R; ++r) PYLLM_UNROLL for (int t = 0; t < T; ++t) other[r][t] =
      f32_zero();
  for (int64_t i = tile.block; i < tile.block_end; ++i, tokens.next()) {
    typename F::Block block[R];
    PYLLM_UNROLL for (int r = 0; r < R; ++r) block[r] =
        F::block(tile.weights + r * tile.tile_bytes, i - tile.origin, tile.n_blocks);
    const Ahead ahead = ahead_of<F>(tile, i);
    add_half<F>(block, ahead, tokens, 0, sum);
    add_half<F>(block, ahead, tokens, 1, other);
  }
  PYLLM_UNROLL for (int r = 0; r < R; ++r) PYLLM_UNROLL for (int t = 0; t < T; ++t) sum[r][t] =
      f32_add(sum[r][t], other[r][t]);
  store_sums(tile, sum);
}

template <class Format, int R, int T>
void compare_matmul(const char* name, int64_t rows, int64_t cols) {
  using F = PackedSuperblocks<Format>;
  const int64_t n_blocks = cols / 256, tile_bytes = n_blocks * Format::kBytes;
  std::vector<uint8_t> weights = random_values<uint8_t>(
      static_cast<size_t>((rows / kTileRows + R) * tile_bytes + 4096), 0, 60);
  std::vector<ActBlock256> act(static_cast<size_t>(n_blocks * T));
  for (ActBlock256& block : act) {
    std::memset(&block, 1, sizeof block);
    block.d[0] = block.d[1] = 0.01f;
  }
  std::vector<float> y(static_cast<size_t>(rows * T));
  const auto run = [&](void (*multiply)(const MatmulTile&)) {
    for (int64_t row = 0; row < rows; row += R * kTileRows) {
      multiply({.weights = aligned(weights) + row / kTileRows * tile_bytes,
                .tile_bytes = tile_bytes,
                .cols = cols,
                .n_blocks = n_blocks,
                .block = 0,
                .block_end = n_blocks,
                .origin = 0,
                .act = reinterpret_cast<const uint8_t*>(act.data()),
                .act_stride = sizeof(ActBlock256),
                .act_block_stride = T * static_cast<int64_t>(sizeof(ActBlock256)),
                .y = y.data() + row,
                .ldy = rows,
                .rows = R * kTileRows,
                .group_bytes = R * tile_bytes,
                .ahead = {nullptr, 0, 0}});
    }
  };
  compare(
      name, [&] { run(multiply_superblocks<F, R, T>); },
      [&] { run(multiply_in_two_chains<F, R, T>); });
}

// ---- attention of one token: chunks of 256 merged in order, or not merged at all ----

// What one (KV head, sequence) costs without any merging is less than every order of sums costs
// that is split among threads, or that adapts its maximum as it goes.
void compare_attention(const char* name, int64_t n_tokens, int64_t dim, bool saves_partials) {
  constexpr int64_t kRows = 4, kHeads = 8;  // queries that share a KV head; KV heads
  const int64_t n_chunks = n_tokens / kAttentionChunk, stride = 16 + dim;
  const int64_t panel = kv_key_panel(kKvF16, dim);
  const int64_t head_units = 2 * n_tokens / kPanelTokens * panel;
  // 0x2000 to 0x3000: 0.008 to 0.125 as f16.
  std::vector<uint16_t> cache =
      random_values<uint16_t>(static_cast<size_t>(kHeads * head_units), 0x2000, 0x3000);
  std::vector<float> q = random_values<float>(static_cast<size_t>(kRows * dim), -1.0f, 1.0f);
  std::vector<float> scores(kRows * kAttentionChunk + 16);
  std::vector<float> tile(static_cast<size_t>(std::max<int64_t>(64 * dim, 4096)) + 16);
  std::vector<float> partials(static_cast<size_t>(n_chunks * kRows * stride) + 16);
  std::vector<float> out(static_cast<size_t>(2 * kRows * dim) + 16);
  float max[2][kRows], sum[2][kRows];
  const int32_t n_hidden[kRows] = {}, n_visible[kRows] = {256, 256, 256, 256};
  const int64_t n_panels = kAttentionChunk / kPanelTokens;

  const auto attend = [&](int64_t head, int64_t chunk, int place) {
    const uint16_t* first = aligned(cache) + head * head_units + chunk * 2 * n_panels * panel;
    const uint16_t* panels[kMaxPanels];
    for (int64_t p = 0; p < 2 * n_panels; ++p) panels[p] = first + p * panel;
    const bool last = head == kHeads - 1 && chunk == n_chunks - 1;
    for (int64_t p = 0; p < kPanelsAhead; ++p)
      panels[2 * n_panels + p] = last ? first : first + (2 * n_panels + p) * panel;
    const AttentionArgs args{
        kKvF16,          kKvF16,        kRows,      dim,        dim,
        aligned(q),      n_hidden,      n_visible,  panels,     n_panels,
        aligned(scores), aligned(tile), max[place], sum[place], aligned(out) + place * kRows * dim};
    attention_chunk(&args);
  };
  const auto finish = [&](const float* from, float total) {
    attention_finish(from, total, aligned(tile), dim);
  };
  const auto in_order = [&] {
    for (int64_t head = 0; head < kHeads; ++head) {
      for (int64_t chunk = 0; chunk < n_chunks; ++chunk) {
        attend(head, chunk, chunk > 0);
        for (int64_t r = 0; r < kRows && chunk > 0; ++r)
          attention_merge(max[0] + r, sum[0] + r, aligned(out) + r * dim, max[1][r], sum[1][r],
                          aligned(out) + (kRows + r) * dim, dim);
      }
      for (int64_t r = 0; r < kRows; ++r) finish(aligned(out) + r * dim, sum[0][r]);
    }
  };
  const auto saved = [&] {  // as where several threads share a sequence
    const auto partial = [&](int64_t chunk, int64_t r) {
      return aligned(partials) + (r * n_chunks + chunk) * stride;
    };
    for (int64_t head = 0; head < kHeads; ++head) {
      for (int64_t chunk = 0; chunk < n_chunks; ++chunk) {
        attend(head, chunk, 0);
        for (int64_t r = 0; r < kRows; ++r) {
          float* to = partial(chunk, r);
          to[0] = max[0][r], to[1] = sum[0][r];
          std::memcpy(to + 16, aligned(out) + r * dim, static_cast<size_t>(dim) * sizeof(float));
        }
      }
      for (int64_t r = 0; r < kRows; ++r) {
        float* all = partial(0, r);
        for (int64_t chunk = 1; chunk < n_chunks; ++chunk) {
          const float* next = partial(chunk, r);
          attention_merge(all, all + 1, all + 16, next[0], next[1], next + 16, dim);
        }
        finish(all + 16, all[1]);
      }
    }
  };
  const auto unmerged = [&] {
    for (int64_t head = 0; head < kHeads; ++head) {
      for (int64_t chunk = 0; chunk < n_chunks; ++chunk) attend(head, chunk, 0);
      for (int64_t r = 0; r < kRows; ++r) finish(aligned(out) + r * dim, sum[0][r]);
    }
  };
  if (saves_partials)
    compare(name, saved, unmerged);
  else
    compare(name, in_order, unmerged);
}

void compare_all() {
  constexpr int kFew = static_cast<int>(kTileGroup), kMany = static_cast<int>(kTokenGroup);
  compare_matmul<Q4K, kStreamTiles, 1>("Q4_K, 1 token, 2048 x 2048", 2048, 2048);
  compare_matmul<Q4K, kStreamTiles, 1>("Q4_K, 1 token, 2048 x 8192", 2048, 8192);
  compare_matmul<Q6K, kStreamTiles, 1>("Q6_K, 1 token, 2048 x 8192", 2048, 8192);
  compare_matmul<Q4K, kFew, kMany>("Q4_K, a tile of tokens, 2048 x 2048", 2048, 2048);
  compare_attention("attention, 4096 tokens, one thread", 4096, 64, false);
  compare_attention("attention, 16384 tokens, one thread", 16384, 64, false);
  compare_attention("attention, 4096 tokens, shared by threads", 4096, 64, true);
  compare_attention("attention, 16384 tokens, shared by threads", 16384, 64, true);
}

}  // namespace
}  // namespace pyllm

int main() { pyllm::compare_all(); }
