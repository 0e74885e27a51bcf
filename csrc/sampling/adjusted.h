// A row of logits that may be changed token by token: copied when that is first asked for.
#ifndef PYLLM_CSRC_SAMPLING_ADJUSTED_H_
#define PYLLM_CSRC_SAMPLING_ADJUSTED_H_

#include "isa/select.h"
#include "sampling/scores.h"
#include "token_mask.h"

namespace pyllm {

class AdjustedScores {
 public:
  AdjustedScores(const Scores& raw, const Workspace& workspace) : w_(workspace), scores_(raw) {}

  // The row as it is now; `max` is right after update_max().
  const Scores& scores() const { return scores_; }

  // [n_vocab], to be written; every token that was needs refresh().
  float* values() {
    if (scores_.values != w_.adjusted) {
      std::copy(scores_.values, scores_.values + w_.n_vocab, w_.adjusted);
      std::copy(scores_.tile_maxima, scores_.tile_maxima + w_.n_tiles(), w_.adjusted_maxima);
      scores_ = {w_.adjusted, w_.adjusted_maxima, scores_.max};
    }
    return w_.adjusted;
  }

  void refresh(int64_t token) { refresh_tile(token / kTileRows); }

  // Takes other values for the whole row.
  void replace(const float* row) {
    std::copy(row, row + w_.n_vocab, w_.adjusted);
    scores_ = {w_.adjusted, w_.adjusted_maxima, 0.0f};
    for (int64_t tile = 0; tile < w_.n_tiles(); ++tile) refresh_tile(tile);
    update_max();
  }

  // Leaves the tokens that the mask allows.
  void restrict_to(const TokenMask& mask) {
    constexpr uint32_t kWholeTile = 0xFFFF;
    const Scores before = scores_;
    for (int64_t tile = 0; tile < w_.n_tiles(); ++tile) {
      const uint32_t bits = mask.tile(tile);
      const int64_t begin = tile * kTileRows, end = std::min(begin + kTileRows, w_.n_vocab);
      w_.adjusted_maxima[tile] = bits == kWholeTile ? before.tile_maxima[tile] : -kInf;
      if (bits == 0) {
        std::fill(w_.adjusted + begin, w_.adjusted + end, -kInf);
        continue;
      }
      for (int64_t i = begin; i < end; ++i) {
        w_.adjusted[i] = (bits >> (i - begin) & 1) != 0 ? before.values[i] : -kInf;
      }
      if (bits != kWholeTile) refresh_tile(tile);
    }
    scores_ = {w_.adjusted, w_.adjusted_maxima, 0.0f};
    update_max();
  }

  void update_max() {
    bool ignored = false;  // a score may be -infinity
    scores_.max = kernels().row_max(scores_.tile_maxima, w_.n_tiles(), &ignored);
  }

 private:
  void refresh_tile(int64_t tile) {
    const float* begin = w_.adjusted + tile * kTileRows;
    const float* end = w_.adjusted + std::min((tile + 1) * kTileRows, w_.n_vocab);
    w_.adjusted_maxima[tile] = *std::max_element(begin, end);
  }

  const Workspace& w_;
  Scores scores_;
};

}  // namespace pyllm

#endif  // PYLLM_CSRC_SAMPLING_ADJUSTED_H_
