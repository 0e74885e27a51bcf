// Which experts each token of a step goes to, and the pairs (token, slot) sorted by expert.
#ifndef PYLLM_CSRC_OPS_ROUTING_H_
#define PYLLM_CSRC_OPS_ROUTING_H_

#include <algorithm>
#include <cstdint>

#include "isa/select.h"

namespace pyllm {

struct RoutingSizes {
  int64_t max_tokens, n_experts, n_used;

  int64_t bytes() const {
    return 4 * (3 * max_tokens * n_used + 2 * n_experts + 1 + kRoutingHeader);
  }
  static constexpr int64_t kRoutingHeader = 1;
};

// A view of arrays in memory of RoutingSizes::bytes(); copies share them.
class Routing {
 public:
  Routing(const RoutingSizes& sizes, uint8_t* memory) : sizes_(sizes) {
    const int64_t pairs = sizes.max_tokens * sizes.n_used;
    n_active_ = reinterpret_cast<int32_t*>(memory);
    experts_ = n_active_ + RoutingSizes::kRoutingHeader;
    weights_ = reinterpret_cast<float*>(experts_ + pairs);
    places_ = experts_ + 2 * pairs;
    starts_ = places_ + pairs;
    order_ = starts_ + sizes.n_experts + 1;
  }

  // Picks the n_used largest logits of a token, the lower index first among equals, and their
  // softmax weights. `terms` is scratch [n_experts]. A NaN never wins a comparison, so the experts
  // are valid and distinct whatever the logits are; the weights are then NaN.
  void choose(int64_t token, const float* logits, bool renormalise, float* terms) const {
    const int64_t n_used = sizes_.n_used;
    int32_t* chosen = experts_ + token * n_used;
    int64_t n = 0;
    for (int64_t expert = 0; expert < sizes_.n_experts; ++expert) {
      int64_t at = n < n_used ? n++ : n_used;  // n_used: falls off the end unless it moves up
      for (; at > 0 && logits[expert] > logits[chosen[at - 1]]; --at) {
        if (at < n_used) chosen[at] = chosen[at - 1];
      }
      if (at < n_used) chosen[at] = static_cast<int32_t>(expert);
    }
    float* weights = weights_ + token * n_used;
    const float largest = logits[chosen[0]];
    // Renormalised, the denominator over all experts cancels: a softmax over the chosen ones.
    float sum;
    if (renormalise) {
      for (int64_t slot = 0; slot < n_used; ++slot) weights[slot] = logits[chosen[slot]];
      sum = kernels().exp_sum(weights, n_used, largest, 1.0f, weights);
    } else {
      sum = kernels().exp_sum(logits, sizes_.n_experts, largest, 1.0f, terms);
      for (int64_t slot = 0; slot < n_used; ++slot) weights[slot] = terms[chosen[slot]];
    }
    for (int64_t slot = 0; slot < n_used; ++slot) weights[slot] /= sum;
  }

  // Sorts the pairs of n_tokens by expert; those of one expert stay in the order of tokens.
  void group(int64_t n_tokens) const {
    const int64_t pairs = n_tokens * sizes_.n_used, n_experts = sizes_.n_experts;
    std::fill(starts_, starts_ + n_experts + 1, 0);
    for (int64_t pair = 0; pair < pairs; ++pair) ++starts_[experts_[pair] + 1];
    *n_active_ = 0;
    for (int64_t expert = 0; expert < n_experts; ++expert) {
      if (starts_[expert + 1] > 0) order_[(*n_active_)++] = static_cast<int32_t>(expert);
      starts_[expert + 1] += starts_[expert];
    }
    // starts_[e] serves as the next free place of e and ends where e + 1 began.
    for (int64_t pair = 0; pair < pairs; ++pair) places_[pair] = starts_[experts_[pair]]++;
    std::copy_backward(starts_, starts_ + n_experts, starts_ + n_experts + 1);
    starts_[0] = 0;
    std::sort(order_, order_ + *n_active_, [this](int32_t a, int32_t b) {
      return size(a) != size(b) ? size(a) > size(b) : a < b;
    });
  }

  int64_t n_active() const { return *n_active_; }              // experts with at least one token
  int64_t expert(int64_t rank) const { return order_[rank]; }  // of those, most tokens first
  int64_t start(int64_t expert) const { return starts_[expert]; }  // place of its first pair
  int64_t size(int64_t expert) const { return starts_[expert + 1] - starts_[expert]; }

  const int32_t* places(int64_t token) const { return places_ + token * sizes_.n_used; }
  const float* weights(int64_t token) const { return weights_ + token * sizes_.n_used; }

 private:
  RoutingSizes sizes_;
  int32_t* n_active_;  // [1]
  int32_t* experts_;   // [token][slot], best slot first
  float* weights_;     // [token][slot]
  int32_t* places_;    // [token][slot], the pair's place among all pairs sorted by expert
  int32_t* starts_;    // [n_experts + 1]
  int32_t* order_;     // [n_experts]
};

}  // namespace pyllm

#endif  // PYLLM_CSRC_OPS_ROUTING_H_
