// Which tokens a row may choose: one bit per token, and a gate for masks that are still written.
#ifndef PYLLM_CSRC_TOKEN_MASK_H_
#define PYLLM_CSRC_TOKEN_MASK_H_

#include <algorithm>
#include <atomic>
#include <cstdint>

namespace pyllm {

// Grammars need tens of microseconds to tell what may follow, and the answer depends only on tokens
// that are known when a step begins: another thread writes the masks while the step computes.
class MaskGate {
 public:
  void close() { open_.store(false, std::memory_order_relaxed); }
  void open() {
    open_.store(true, std::memory_order_release);
    open_.notify_all();
  }
  void wait() const { open_.wait(false, std::memory_order_acquire); }

 private:
  std::atomic<bool> open_{false};
};

// The mask of one row; everything is allowed when there is none.
struct TokenMask {
  const uint32_t* words = nullptr;  // bit t % 32 of word t / 32: token t is allowed

  bool exists() const { return words != nullptr; }
  bool allows(int64_t token) const {
    return !exists() || (words[token / 32] >> (token % 32) & 1) != 0;
  }
  // Bits of tokens 16 t .. 16 t + 15.
  uint32_t tile(int64_t t) const { return words[t / 2] >> (16 * (t % 2)) & 0xFFFF; }
};

// Masks of the rows that have one; null when no row has.
struct TokenMasks {
  const int32_t* rows = nullptr;    // [n_masks] ascending
  const uint32_t* words = nullptr;  // [n_masks][n_words]; bits past the vocabulary mean nothing
  int64_t n_masks = 0, n_words = 0;
  const MaskGate* gate = nullptr;  // null: the words are there already

  // Waits for the gate when the row has a mask.
  TokenMask of(int64_t row) const {
    const int32_t* end = rows + n_masks;
    const int32_t* found = std::lower_bound(rows, end, row);
    if (found == end || *found != row) return {};
    if (gate != nullptr) gate->wait();
    return {words + (found - rows) * n_words};
  }
};

}  // namespace pyllm

#endif  // PYLLM_CSRC_TOKEN_MASK_H_
