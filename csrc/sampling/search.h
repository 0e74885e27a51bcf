// Finding the best tokens of a row without sorting it.
#ifndef PYLLM_CSRC_SAMPLING_SEARCH_H_
#define PYLLM_CSRC_SAMPLING_SEARCH_H_

#include <functional>

#include "sampling/scores.h"

namespace pyllm {

// Calls f(begin, end) for the stretches of tiles that hold a possible token: the whole row, unless
// a mask or a bias forbids some. Rows with few possible tokens cost what those tokens cost.
template <typename F>
void for_possible(const Scores& scores, const Workspace& w, F f) {
  const float* tile = scores.tile_maxima;
  const float* const tiles_end = tile + w.n_tiles();
  while (true) {
    while (tile != tiles_end && *tile == -kInf) ++tile;
    const int64_t begin = kTileRows * (tile - scores.tile_maxima);
    while (tile != tiles_end && *tile != -kInf) ++tile;
    const int64_t end = std::min(kTileRows * (tile - scores.tile_maxima), w.n_vocab);
    if (begin >= end) return;
    f(begin, end);
  }
}

// Fills block_maxima, which collect_from reads.
inline void fill_block_maxima(const Scores& scores, const Workspace& w) {
  constexpr int64_t kTiles = Workspace::kBlock / kTileRows;
  const int64_t tiles = w.n_tiles();
  for (int64_t b = 0; b < w.n_blocks(); ++b) {
    float& largest = w.block_maxima[b] = scores.tile_maxima[kTiles * b];
    for (int64_t tile = kTiles * b + 1; tile < std::min(kTiles * (b + 1), tiles); ++tile) {
      largest = std::max(largest, scores.tile_maxima[tile]);
    }
  }
}

// candidates [0 .. n) become all tokens whose logit is at least `least`, by id; returns n.
inline int64_t collect_from(const Scores& scores, const Workspace& w, float least) {
  int64_t n = 0;
  for (int64_t b = 0; b < w.n_blocks(); ++b) {
    if (w.block_maxima[b] < least) continue;
    const int64_t end = std::min(Workspace::kBlock * (b + 1), w.n_vocab);
    for (int64_t i = Workspace::kBlock * b; i < end; ++i) {
      if (scores.values[i] >= least) {
        w.candidates[n++] = {scores.values[i], static_cast<int32_t>(i)};
      }
    }
  }
  return n;
}

// candidates [0 .. n) become the k best tokens, best first; returns n = min(k, tokens above
// -infinity). k blocks hold an element at least as large as the k-th largest block maximum, so
// nothing below that maximum can be among the k best: for k = 40 of 128k it leaves about 50 tokens
// to sort.
inline int64_t collect_top(const Scores& scores, const Workspace& w, int64_t k) {
  const int64_t blocks = w.n_blocks();
  fill_block_maxima(scores, w);
  float least = kLowest;
  if (k < blocks) {
    std::copy(w.block_maxima, w.block_maxima + blocks, w.terms);
    std::nth_element(w.terms, w.terms + k - 1, w.terms + blocks, std::greater<>());
    least = std::max(least, w.terms[k - 1]);
  }
  int64_t n = collect_from(scores, w, least);
  if (n > k) {
    std::nth_element(w.candidates, w.candidates + k, w.candidates + n, is_better);
    n = k;
  }
  std::sort(w.candidates, w.candidates + n, is_better);
  return n;
}

// The token with the largest score, of several the one with the lowest id; -1 when all are
// -infinity.
inline int32_t best_token(const Scores& scores, const Workspace& w) {
  const float* tiles_end = scores.tile_maxima + w.n_tiles();
  const float* tile = std::find(scores.tile_maxima, tiles_end, scores.max);
  if (tile == tiles_end) return -1;
  const float* begin = scores.values + (tile - scores.tile_maxima) * kTileRows;
  const float* found = std::find(begin, scores.values + w.n_vocab, scores.max);
  return static_cast<int32_t>(found - scores.values);
}

// Place of a token in the whole row, best first, from 1.
inline int32_t rank_of(const Scores& scores, const Workspace& w, int32_t token) {
  const Candidate self{scores.values[token], token};
  int32_t rank = 1;
  for (int64_t tile = 0; tile < w.n_tiles(); ++tile) {
    if (scores.tile_maxima[tile] < self.logit) continue;
    const int64_t end = std::min(kTileRows * (tile + 1), w.n_vocab);
    for (int64_t i = kTileRows * tile; i < end; ++i) {
      rank += is_better({scores.values[i], static_cast<int32_t>(i)}, self);
    }
  }
  return rank;
}

}  // namespace pyllm

#endif  // PYLLM_CSRC_SAMPLING_SEARCH_H_
