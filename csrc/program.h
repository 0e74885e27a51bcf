// A compiled model: a list of ops over one arena, walked by all threads once per step.
#ifndef PYLLM_CSRC_PROGRAM_H_
#define PYLLM_CSRC_PROGRAM_H_

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "op.h"
#include "op_reader.h"
#include "sampler.h"

namespace pyllm {

struct StepRequest {
  StepShape shape;
  SamplingInputs sampling;
  bool profile = false;
};

// Workers of a step: steps in which every sequence brings one token wait for memory, others
// compute.
struct Threads {
  int decode, prefill;
  int most() const { return std::max(decode, prefill); }
};

// What one op of a profiled step took.
struct OpProfile {
  int64_t index;
  std::string name;
  int64_t nanoseconds, bytes, macs;
};

class Program {
 public:
  // Checks every buffer, weight shape and attribute; throws std::invalid_argument naming the op.
  // kv may be null for a program without attention. `hidden` writes the hidden states of R rows; it
  // runs last, over what the ops have left, in steps that want some.
  Program(const std::vector<OpSpec>& ops, std::shared_ptr<const KVPool> kv, const Limits& limits,
          Threads threads, const std::optional<OpSpec>& hidden = std::nullopt);
  ~Program();

  // Runs the ops over the columns, then samples the first n_logits R rows when the last op wrote
  // logits: that op is the head, and steps without such rows leave it out.
  // Impossible columns throw std::invalid_argument before anything is changed; std::runtime_error
  // when a weight could not be read from its file: the step's results are then worthless.
  // Thread-safe, one step at a time; allocates nothing once every weight has been used.
  // False: interrupt() ended it between two ops, and its results are worthless.
  bool step(const StepRequest& request);

  // Runs the ops of a step without R rows from `first_op` on, one at least, and no other that would
  // end after `time` if it took as long as the last time. Returns the op to go on with, or n_ops()
  // at the end. Nothing else may run on this program until then, and its columns stay as they are;
  // giving up takes nothing but to begin with op 0 again. Throws as step() does.
  int64_t advance(const StepShape& shape, int64_t first_op, std::chrono::nanoseconds time);
  // What the op that took longest took, each in the last call that ran it.
  std::chrono::nanoseconds longest_op() const;
  int64_t n_ops() const { return static_cast<int64_t>(ops_.size()); }

  // Ends the step that runs, or the next one when none does; returns at once. From any thread.
  void interrupt() { interrupted_.store(true, std::memory_order_relaxed); }

  // Samples one row of the last step again, from `processed` [n_vocab] instead of the row's logits;
  // log probabilities remain those of the logits. Throws std::invalid_argument as step() does, and
  // when an element is NaN or +infinity.
  void sample(int64_t row, const float* processed, const SamplingInputs& inputs);

  Columns& columns() { return columns_; }
  const Limits& limits() const { return limits_; }
  bool has_logits() const { return has_logits_; }
  float* logits() { return arena_.as<float>() + result_.offset; }  // [max_rows][n_vocab]
  bool has_hidden() const { return hidden_.op != nullptr; }
  int64_t hidden_width() const { return hidden_value_.width; }
  float* hidden() { return arena_.as<float>() + hidden_value_.offset; }  // [max_rows][hidden_width]

  std::vector<OpProfile> profile();
  // Copy of the first n_rows rows of a value; throws std::invalid_argument outside the arena.
  std::vector<float> read(const Value& value, int64_t n_rows);

  Threads threads() const { return threads_; }
  void set_threads(Threads threads);
  // Work on the threads of another program, which waits meanwhile when it is asked to step.
  void share_threads(const Program& other);

 private:
  using Clock = std::chrono::steady_clock;
  // The ops of a step that one call runs.
  struct Slice {
    size_t first_op = 0;
    std::optional<Clock::time_point> deadline;  // none: all of them
  };

  struct NamedOp {
    std::string name;
    std::unique_ptr<Op> op;
  };

  void build_ops(const std::vector<OpSpec>& ops, const std::optional<OpSpec>& hidden);
  void collect_weights(const OpSpec& op);
  void allocate_for_workers();
  void check(const StepRequest& request);
  int workers_of(const StepShape& shape) const;
  StepContext begin_step(const StepRequest& request);
  bool run(const StepRequest& request, const Slice& slice);
  void use_pool(std::shared_ptr<ThreadPool> pool, Threads threads);
  void fill_rope_tables(const StepContext& step);
  void work(const StepContext& step, const StepRequest& request, int worker);
  bool told_to_stop(const StepContext& step, size_t op, size_t n_ops_before, int worker);
  bool out_of_time(size_t next_op);
  void sample_rows(const StepContext& step, const StepRequest& request, int worker);

  const Limits limits_;
  const std::shared_ptr<const KVPool> kv_;
  Threads threads_;
  std::shared_ptr<ThreadPool> pool_;
  BuildContext build_;
  std::vector<NamedOp> ops_;
  std::set<std::shared_ptr<const WeightFile>> files_;  // that weights are read from
  Value result_{}, hidden_value_{};
  NamedOp hidden_;  // no op: the program gives no hidden states
  bool has_logits_ = false;
  bool has_maxima_ = false;  // the op that writes the logits leaves their maxima

  Columns columns_;
  Buffer arena_, activations_, worker_scratch_, partials_;
  Buffer logit_maxima_;            // [max_rows][n_vocab / 16]
  std::vector<Sampler> samplers_;  // one per worker
  std::vector<int32_t> token_seqs_;
  std::vector<int32_t> block_writers_;  // scratch of check_columns
  std::vector<OpProfile> profile_;
  std::atomic<bool> interrupted_{false};
  std::array<bool, 2> stops_{};            // what worker 0 decided after even and after odd ops
  Slice slice_;                            // that runs
  size_t next_op_ = 0;                     // after the last that ran in it
  Clock::time_point op_start_;             // in it
  std::vector<Clock::duration> op_times_;  // what each op took in a slice last
  bool begun_ = false;                     // a step has run
  int64_t n_logits_ = 0;  // rows of the last step with logits; none when it did not come to its end
  std::mutex running_;
};

}  // namespace pyllm

#endif  // PYLLM_CSRC_PROGRAM_H_
