// The matrices of all experts of a layer, one after the other in one packed weight.
#ifndef PYLLM_CSRC_OPS_EXPERT_STACK_H_
#define PYLLM_CSRC_OPS_EXPERT_STACK_H_

#include <memory>
#include <string>

#include "isa/select.h"
#include "op_reader.h"

namespace pyllm {

// Every expert starts at a tile of its own: its rows are padded to whole tiles before packing.
class ExpertStack {
 public:
  ExpertStack() = default;
  ExpertStack(const OpReader& reader, size_t index, int64_t n_experts, int64_t rows, int64_t cols)
      : weight_(reader.matrix(index)),
        n_experts_(n_experts),
        tiles_((rows + kTileRows - 1) / kTileRows) {
    const std::string name = "weights[" + std::to_string(index) + "]";
    reader.expect(tensor().cols == cols, name + " must have " + std::to_string(cols) + " columns");
    const int64_t stacked = n_experts * tiles_ * kTileRows;
    reader.expect(tensor().rows == stacked, name + " must have " + std::to_string(stacked) +
                                                " rows: whole tiles of every expert");
  }

  ActKind kind() const { return act_kind(tensor().type); }
  int64_t tiles() const { return tiles_; }  // of one expert
  int64_t tile_bytes() const { return tensor().tile_bytes; }
  int64_t expert_bytes() const { return weight_->nbytes() / n_experts_; }

  // y[t * ldy + row - 16 * tile_begin] = W x[t] for tiles [tile_begin, tile_end) of one expert.
  // new_tiles is scratch of all their bytes.
  void multiply(int64_t expert, int64_t tile_begin, int64_t tile_end, const uint8_t* act,
                const ActLayout& layout, int64_t n_tokens, float* y, int64_t ldy, bool keep,
                uint8_t* new_tiles) const {
    const int64_t first = expert * tiles_ + tile_begin, n_tiles = tile_end - tile_begin;
    const PackedTensor tiles = weight_->tiles(first, first + n_tiles, keep, new_tiles);
    const MatmulArgs args{&tiles,   0, n_tiles, act, layout.token_stride, layout.block_stride,
                          n_tokens, y, ldy};
    kernels().matmul(&args);
  }

 private:
  const PackedTensor& tensor() const { return weight_->tensor(); }

  std::shared_ptr<const PackedWeight> weight_;
  int64_t n_experts_ = 0, tiles_ = 0;
};

}  // namespace pyllm

#endif  // PYLLM_CSRC_OPS_EXPERT_STACK_H_
