// Merges the symbols of one word until no rule applies: lowest rank first, then leftmost.
//
// A tournament tree over blocks of 16 positions holds each block's best rank, so a merge costs
// O(16 + log n) and touches about four cache lines.
#ifndef PYLLM_CSRC_TOKENIZER_WORD_MERGER_H_
#define PYLLM_CSRC_TOKENIZER_WORD_MERGER_H_

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "tokenizer/merge_table.h"

namespace pyllm::tokenizer {

class WordMerger {
 public:
  explicit WordMerger(const MergeTable& table) : table_(table) {}

  // Reads `n` < 2^32 - 1 symbols, writes at most n tokens to `out` (which may be `symbols`),
  // returns how many.
  size_t merge(const int32_t* symbols, size_t n, int32_t* out) {
    if (n == 0) return 0;
    load(symbols, n);
    while (best_rank_[1] != kNoMerge) merge_at(best_position());
    size_t count = 0;
    for (uint32_t i = 0; i != kEnd; i = pieces_[i].next) out[count++] = pieces_[i].symbol;
    return count;
  }

  // Position of each token's first symbol in the word merged last.
  void copy_starts(uint32_t* starts) const {
    for (uint32_t i = 0; i != kEnd; i = pieces_[i].next) *starts++ = i;
  }

 private:
  static constexpr size_t kBlock = 16;  // positions per leaf: one cache line of ranks
  static constexpr uint32_t kEnd = UINT32_MAX;

  struct Piece {
    int32_t symbol;     // stale once absorbed by the neighbour on the left
    int32_t result;     // what this and the next piece become
    uint32_t next;      // position of the next piece, kEnd behind the last
    uint32_t previous;  // kEnd before the first
  };

  void load(const int32_t* symbols, size_t n) {
    n_leaves_ = std::bit_ceil((n + kBlock - 1) / kBlock);
    pieces_.resize(n);
    rank_.assign(n_leaves_ * kBlock, kNoMerge);
    best_rank_.assign(2 * n_leaves_, kNoMerge);
    const auto last = static_cast<uint32_t>(n - 1);
    for (uint32_t i = 0; i <= last; ++i) {
      pieces_[i] = {symbols[i], -1, i == last ? kEnd : i + 1, i == 0 ? kEnd : i - 1};
    }
    for (uint32_t i = 0; i < last; ++i) set_pair(i);
    for (size_t leaf = 0; leaf * kBlock < n; ++leaf) best_rank_[n_leaves_ + leaf] = leaf_best(leaf);
    for (size_t node = n_leaves_ - 1; node > 0; --node) best_rank_[node] = node_best(node);
  }

  void set_pair(uint32_t i) {
    Piece& piece = pieces_[i];
    const Merge merge = table_.find(piece.symbol, pieces_[piece.next].symbol);
    rank_[i] = merge.rank;
    piece.result = merge.result;
  }

  int32_t leaf_best(size_t leaf) const {
    const int32_t* ranks = &rank_[leaf * kBlock];
    int32_t best = kNoMerge;
    for (size_t i = 0; i < kBlock; ++i) best = std::min(best, ranks[i]);
    return best;
  }

  int32_t node_best(size_t node) const {
    return std::min(best_rank_[2 * node], best_rank_[2 * node + 1]);
  }

  // Leftmost position of the best rank: go left wherever the left child has it.
  uint32_t best_position() const {
    size_t node = 1;
    while (node < n_leaves_) node = 2 * node + (best_rank_[2 * node] == best_rank_[1] ? 0 : 1);
    size_t at = (node - n_leaves_) * kBlock;
    while (rank_[at] != best_rank_[1]) ++at;
    return static_cast<uint32_t>(at);
  }

  // The piece at i absorbs the next one; the pairs on both sides change.
  void merge_at(uint32_t i) {
    Piece& piece = pieces_[i];
    const uint32_t absorbed = piece.next;
    piece.symbol = piece.result;
    piece.next = pieces_[absorbed].next;
    rank_[absorbed] = kNoMerge;
    rank_[i] = kNoMerge;
    if (piece.next != kEnd) {
      pieces_[piece.next].previous = i;
      set_pair(i);
    }
    const uint32_t before = piece.previous;
    if (before != kEnd) set_pair(before);
    refresh(i / kBlock);
    if (absorbed / kBlock != i / kBlock) refresh(absorbed / kBlock);
    if (before != kEnd && before / kBlock != i / kBlock) refresh(before / kBlock);
  }

  // Carries a leaf's new best rank upwards, as far as it changes anything.
  void refresh(size_t leaf) {
    size_t node = n_leaves_ + leaf;
    int32_t best = leaf_best(leaf);
    while (best_rank_[node] != best) {
      best_rank_[node] = best;
      if (node == 1) return;
      node /= 2;
      best = node_best(node);
    }
  }

  const MergeTable& table_;
  size_t n_leaves_ = 0;
  std::vector<Piece> pieces_;       // by position
  std::vector<int32_t> rank_;       // by position: rank of the pair (i, next), kNoMerge for none
  std::vector<int32_t> best_rank_;  // tree: node 1 is the root, leaves from n_leaves_ on
};

}  // namespace pyllm::tokenizer

#endif  // PYLLM_CSRC_TOKENIZER_WORD_MERGER_H_
