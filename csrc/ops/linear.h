// linear: products of the same rows with one or more matrices, with what surrounds them folded in.
#ifndef PYLLM_CSRC_OPS_LINEAR_H_
#define PYLLM_CSRC_OPS_LINEAR_H_

#include "isa/select.h"
#include "op_reader.h"
#include "ops/matmul_cut.h"
#include "ops/rows_place.h"

namespace pyllm {

// Rows are normalised (optional) and quantised once for each kind of activation the matrices ask
// for; a single row by every worker for itself, which costs less than a barrier. Then chunks of
// matrix rows are multiplied with all tokens and finished while they are in the cache: bias,
// silu(y0) * y1, residual. No output element depends on how the work was cut.
class Linear : public Op {
 public:
  Linear(OpReader& reader, BuildContext& context) {
    reader.expect_inputs(1, 2);
    reader.expect_outputs(1, SIZE_MAX);
    reader.expect_weights(2, SIZE_MAX);
    x_ = reader.input(0);
    silu_mul_ = reader.choice("combine", {"none", "silu_mul"}) == 1;
    eps_ = static_cast<float>(reader.number("eps", 0.0, 1.0));
    norm_ = reader.optional_vector(0, x_.width);
    reader.expect_no_other_attrs();
    read_matrices(reader);
    read_outputs(reader);
    plan_activations(context);
    context.worker_bytes = std::max(context.worker_bytes, own_.bytes());
  }

  void run(const StepContext& step, int worker) const override {
    const int64_t n_rows = step.n_rows(x_.rows);
    if (n_rows == 1) {
      quantise_row(step, worker, 0);
    } else {
      for_chunks(step.pool, n_rows, 1, [&](int64_t begin, int64_t end) {
        for (int64_t t = begin; t < end; ++t) quantise_row(step, worker, t);
      });
      step.pool.barrier();
    }
    multiply(step, worker, n_rows);
  }

  OpCost cost(const StepContext& step) const override {
    OpCost cost;
    for (const Matrix& m : matrices_) {
      cost.bytes += m.weight->nbytes();
      cost.macs += m.weight->tensor().rows * x_.width * step.n_rows(x_.rows);
    }
    return cost;
  }

 private:
  struct Matrix {
    std::shared_ptr<const PackedWeight> weight;
    std::vector<float> bias;  // empty: none
    size_t activation = 0;    // index of the kind it multiplies with
    RowsPlace new_tiles;      // in a worker's scratch: a chunk that is not kept
  };
  struct Activation {
    ActPlace rows;     // of the step
    ActPlace own_row;  // of a worker, when the step has only one
  };

  static constexpr int64_t kScratchBytes = 2 * kScratchFloats * static_cast<int64_t>(sizeof(float));

  void read_matrices(const OpReader& reader) {
    for (size_t i = 1; reader.has_weight(i); i += 2) {
      Matrix m;
      m.weight = reader.matrix(i);
      m.bias = reader.optional_vector(i + 1, m.weight->tensor().rows);
      reader.expect(m.weight->tensor().cols == x_.width,
                    "a matrix must have as many columns as the input");
      reader.expect_weights(i + 1, SIZE_MAX);
      matrices_.push_back(std::move(m));
    }
    const size_t n = matrices_.size();
    reader.expect(n > 0, "weights[1] must be a PackedTensor");
    reader.expect_weights(2 * n, 2 * n + 1);
  }

  void read_outputs(const OpReader& reader) {
    const size_t n = matrices_.size();
    reader.expect(!silu_mul_ || n == 2, "combine silu_mul takes two matrices");
    reader.expect_outputs(silu_mul_ ? 1 : n, silu_mul_ ? 1 : n);
    for (size_t i = 0; i < n; ++i) {
      const Value out = reader.output(silu_mul_ ? 0 : i);
      reader.expect(out.rows == x_.rows, "outputs must have the input's row class");
      reader.expect(out.width == matrices_[i].weight->tensor().rows,
                    "an output must be as wide as its matrix has rows");
      out_.push_back(out);
    }
    has_residual_ = reader.n_inputs() == 2;
    if (has_residual_) {
      residual_ = reader.input(1);
      reader.expect(n == 1, "a residual takes one matrix");
      reader.expect(residual_.width == out_[0].width && residual_.rows == out_[0].rows,
                    "the residual must have the output's shape");
    }
    reader.expect_no_overlap(1);
  }

  void plan_activations(BuildContext& context) {
    const int64_t most =
        x_.rows == RowClass::kTokens ? context.limits.max_tokens : context.limits.max_rows;
    BufferPlan shared;
    own_.add(1, std::max(static_cast<int64_t>(sizeof(float)) * x_.width, kScratchBytes));
    for (Matrix& m : matrices_) {
      const ActKind kind = act_kind(m.weight->tensor().type);
      while (m.activation < activations_.size() && activations_[m.activation].rows.kind != kind) {
        ++m.activation;
      }
      if (m.activation < activations_.size()) continue;
      activations_.push_back(
          {shared.add_act(kind, x_.width, most), own_.add_act(kind, x_.width, 1)});
    }
    // Matrices take turns in one place, but the two of a silu_mul are used together.
    const RowsPlace tiles = own_.add(silu_mul_ ? 2 : 1, most_chunk_bytes());
    for (size_t i = 0; i < matrices_.size(); ++i) {
      matrices_[i].new_tiles = tiles;
      if (silu_mul_ && i == 1) matrices_[i].new_tiles.offset += tiles.stride;
    }
    context.activation_bytes = std::max(context.activation_bytes, shared.bytes());
  }

  int64_t most_chunk_bytes() const {
    int64_t bytes = 0;
    for (const Matrix& m : matrices_)
      bytes = std::max(bytes, chunk_bytes(m.weight->tensor().tile_bytes));
    return bytes;
  }

  // The quantised rows: the step's, or with its worker the only one.
  ActRows act_rows(const StepContext& step, int worker, const Activation& a) const {
    const int64_t n_rows = step.n_rows(x_.rows);
    return n_rows == 1 ? a.own_row.rows(step.scratch(worker), 1)
                       : a.rows.rows(step.activations, n_rows);
  }

  void quantise_row(const StepContext& step, int worker, int64_t t) const {
    const float* x = step.row(x_, t);
    if (!norm_.empty()) {
      auto* normed = reinterpret_cast<float*>(step.scratch(worker));
      kernels().rms_norm(x, norm_.data(), normed, x_.width, eps_);
      x = normed;
    }
    for (const Activation& a : activations_) {
      const ActRows rows = act_rows(step, worker, a);
      kernels().quantize_act(a.rows.kind, x, x_.width, rows.row(t), rows.layout.block_stride);
    }
  }

  // How one matrix, or the pair of a silu_mul, is cut.
  struct Cut {
    int64_t n_tiles, tiles;  // in all, and of a chunk
    int64_t n_chunks() const { return (n_tiles + tiles - 1) / tiles; }
  };
  Cut cut(const StepContext& step, size_t i, int64_t n_tokens) const {
    const PackedTensor& tensor = matrices_[i].weight->tensor();
    const int64_t n_tiles = (tensor.rows + kTileRows - 1) / kTileRows;
    int64_t tile_bytes = tensor.tile_bytes;
    // The two of a pair may be of different types: the larger tiles must fit their scratch too.
    if (silu_mul_) tile_bytes = 2 * std::max(tile_bytes, matrices_[1].weight->tensor().tile_bytes);
    return {n_tiles, chunk_tiles(n_tiles, tile_bytes, n_tokens, step.pool.active())};
  }

  // The chunks of all matrices in one row.
  void multiply(const StepContext& step, int worker, int64_t n_tokens) const {
    const size_t n = silu_mul_ ? 1 : matrices_.size();
    int64_t n_chunks = 0;
    for (size_t i = 0; i < n; ++i) n_chunks += cut(step, i, n_tokens).n_chunks();
    for_shares(step.pool, worker, n_chunks, [&](int64_t chunk) {
      size_t i = 0;
      Cut c = cut(step, 0, n_tokens);
      for (; chunk >= c.n_chunks(); c = cut(step, ++i, n_tokens)) chunk -= c.n_chunks();
      const int64_t begin = chunk * c.tiles;
      multiply_chunk(step, worker, i, begin, std::min(begin + c.tiles, c.n_tiles), n_tokens);
    });
  }

  // Tiles of a matrix, and which of the matrix is the first of them.
  struct Chunk {
    const Matrix& matrix;
    PackedTensor tiles;
    int64_t first;
  };
  Chunk chunk_of(const StepContext& step, int worker, size_t i, int64_t tile_begin,
                 int64_t tile_end) const {
    const Matrix& m = matrices_[i];
    uint8_t* scratch = m.new_tiles.row(step.scratch(worker), 0);
    return {m, m.weight->tiles(tile_begin, tile_end, step.keep_new_tiles, scratch), tile_begin};
  }

  void multiply_chunk(const StepContext& step, int worker, size_t i, int64_t tile_begin,
                      int64_t tile_end, int64_t n_tokens) const {
    const Chunk chunk = chunk_of(step, worker, i, tile_begin, tile_end);
    const Chunk up = silu_mul_ ? chunk_of(step, worker, 1, tile_begin, tile_end) : chunk;
    const Activation& a = activations_[matrices_[i].activation];
    for_passes(tile_begin, tile_end, n_tokens, a.rows.row_bytes(),
               [&](int64_t begin, int64_t end, int64_t t, int64_t n) {
                 const int64_t width = (end - begin) * kTileRows;
                 auto* y = reinterpret_cast<float*>(step.scratch(worker));
                 product(step, worker, chunk, begin, end, t, n, y, width);
                 if (silu_mul_)
                   product(step, worker, up, begin, end, t, n, y + kScratchFloats, width);
                 finish(step, i, begin * kTileRows, t, n, y, width);
               });
  }

  // y[token][width] = W x + bias for the rows of the tiles.
  void product(const StepContext& step, int worker, const Chunk& chunk, int64_t tile_begin,
               int64_t tile_end, int64_t first_token, int64_t n_tokens, float* y,
               int64_t width) const {
    const Matrix& m = chunk.matrix;
    const Activation& a = activations_[m.activation];
    const ActRows rows = act_rows(step, worker, a);
    const MatmulArgs args{&chunk.tiles,
                          tile_begin - chunk.first,
                          tile_end - chunk.first,
                          rows.row(first_token),
                          rows.layout.token_stride,
                          rows.layout.block_stride,
                          n_tokens,
                          y,
                          width};
    kernels().matmul(&args);
    if (m.bias.empty()) return;
    const int64_t first_row = tile_begin * kTileRows;
    const int64_t n = std::min(width, m.weight->tensor().rows - first_row);
    for (int64_t t = 0; t < n_tokens; ++t) {
      for (int64_t row = 0; row < n; ++row) {
        y[t * width + row] += m.bias[static_cast<size_t>(first_row + row)];
      }
    }
  }

  // Moves finished columns [first_row, first_row + width) of tokens to their place.
  void finish(const StepContext& step, size_t i, int64_t first_row, int64_t first_token,
              int64_t n_tokens, const float* y, int64_t width) const {
    const int64_t n = std::min(width, out_[i].width - first_row);
    for (int64_t t = 0; t < n_tokens; ++t, y += width) {
      float* out = step.row(out_[i], first_token + t) + first_row;
      const float* written = out;
      if (silu_mul_) {
        kernels().silu_mul(y, y + kScratchFloats, out, n);
      } else if (has_residual_) {
        const float* residual = step.row(residual_, first_token + t) + first_row;
        for (int64_t row = 0; row < n; ++row) out[row] = y[row] + residual[row];
      } else {
        std::copy(y, y + n, out);
        written = y;  // loads from out would wait until its stores are done
      }
      if (float* maxima = step.tile_maxima(out_[i], first_token + t))
        kernels().tile_max(written, n, maxima + first_row / kTileRows);
    }
  }

  Value x_, residual_;
  std::vector<Value> out_;
  std::vector<float> norm_;  // empty: none
  std::vector<Matrix> matrices_;
  std::vector<Activation> activations_;
  BufferPlan own_;  // a worker's: a normalised row or the results of a chunk; its quantised row
  float eps_;
  bool silu_mul_, has_residual_;
};

inline std::unique_ptr<Op> make_linear(OpReader& reader, BuildContext& context) {
  return std::make_unique<Linear>(reader, context);
}

}  // namespace pyllm

#endif  // PYLLM_CSRC_OPS_LINEAR_H_
