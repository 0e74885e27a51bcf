// One row of logits, the maxima that make it quick to search, and the memory sampling works in.
#ifndef PYLLM_CSRC_SAMPLING_SCORES_H_
#define PYLLM_CSRC_SAMPLING_SCORES_H_

#include <algorithm>
#include <cstdint>
#include <limits>

#include "kernels/r16.h"
#include "runtime/memory.h"

namespace pyllm {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kLowest = std::numeric_limits<float>::lowest();
// Scores at or below this are "never": -infinity, and the -1e30 with which Python forbids a token
// that may still be the last resort.
constexpr float kNever = -1e29f;

struct Candidate {
  float logit;
  int32_t id;
};

inline bool is_better(const Candidate& a, const Candidate& b) {
  return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);  // the lowest id wins ties
}

struct Scores {
  const float* values;       // [n_vocab]
  const float* tile_maxima;  // [n_vocab / 16]
  float max;
};

// Scratch of one worker, allocated once.
class Workspace {
 public:
  static constexpr int64_t kBlock = 4 * kTileRows;  // under one block maximum: few enough to sort

  explicit Workspace(int64_t vocabulary)
      : n_vocab(vocabulary),
        memory_(bytes(vocabulary)),
        adjusted(memory_.as<float>()),
        terms(adjusted + vocabulary),
        block_maxima(terms + 3 * vocabulary),
        tile_maxima(block_maxima + n_blocks()),
        adjusted_maxima(tile_maxima + n_tiles()),
        candidates(reinterpret_cast<Candidate*>(terms + vocabulary)) {}

  int64_t n_blocks() const { return (n_vocab + kBlock - 1) / kBlock; }
  int64_t n_tiles() const { return (n_vocab + kTileRows - 1) / kTileRows; }

  const int64_t n_vocab;

 private:
  static size_t bytes(int64_t vocabulary) {
    const int64_t blocks = (vocabulary + kBlock - 1) / kBlock;
    const int64_t tiles = (vocabulary + kTileRows - 1) / kTileRows;
    return static_cast<size_t>(vocabulary * 16 + blocks * 4 + tiles * 8);
  }
  Buffer memory_;

 public:
  float* const adjusted;         // [n_vocab] logits after bias, penalties and the like
  float* const terms;            // [n_vocab] e^(logit - max), and other scratch
  float* const block_maxima;     // [n_vocab / 64]
  float* const tile_maxima;      // [n_vocab / 16] of the logits when the caller has none
  float* const adjusted_maxima;  // [n_vocab / 16] of `adjusted`
  Candidate* const candidates;   // [n_vocab] best first
};

}  // namespace pyllm

#endif  // PYLLM_CSRC_SAMPLING_SCORES_H_
