// Packs weights in the background between loading a model and its first step.
#ifndef PYLLM_CSRC_PACK_AHEAD_H_
#define PYLLM_CSRC_PACK_AHEAD_H_

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "packed_weight.h"

namespace pyllm {

// One thread that touches the tiles of weights in order: while Python builds the tokenizer and a
// person types, the other CPUs are idle. What it has not reached when a step begins, the step
// packs.
class PackAhead {
 public:
  using Weights = std::vector<std::shared_ptr<const PackedWeight>>;

  // Throws std::runtime_error when the system refuses a thread.
  explicit PackAhead(Weights weights);
  ~PackAhead();
  PackAhead(const PackAhead&) = delete;
  PackAhead& operator=(const PackAhead&) = delete;

  // Ends the work after the tile at hand, without waiting for it.
  void stop() { stopping_.store(true, std::memory_order_relaxed); }

 private:
  void work() const;

  const Weights weights_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace pyllm

#endif  // PYLLM_CSRC_PACK_AHEAD_H_
