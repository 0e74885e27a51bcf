#include "program.h"

#include <cstring>
#include <limits>
#include <stdexcept>

#include "isa/select.h"
#include "ops/add.h"
#include "ops/attention.h"
#include "ops/embed.h"
#include "ops/linear.h"
#include "ops/moe.h"
#include "ops/rms_norm.h"
#include "ops/rope.h"
#include "ops/sigmoid_gate.h"
#include "ops/silu_mul.h"
#include "ops/take_rows.h"

namespace pyllm {
namespace {

using MakeOp = std::unique_ptr<Op> (*)(OpReader&, BuildContext&);

MakeOp find_op(const OpReader& reader, const std::string& name) {
#define PYLLM_OP(op) \
  if (name == #op) return make_##op;
#include "ops/ops.def"
#undef PYLLM_OP
  reader.fail("unknown op");
}

constexpr int64_t kMaxSize = int64_t{1} << 31;
constexpr int64_t kFirstTokens = 32;  // a first step with more keeps its weights at once

const Limits& checked(const Limits& limits) {
  const auto check = [](const char* name, int64_t value, int64_t low, int64_t high) {
    if (value < low || value > high) {
      throw std::invalid_argument(std::string("limits: ") + name + " is " + std::to_string(value) +
                                  ", allowed " + std::to_string(low) + " to " +
                                  std::to_string(high));
    }
  };
  check("max_tokens", limits.max_tokens, 1, 1 << 20);
  check("max_rows", limits.max_rows, 0, 1 << 20);
  check("max_seqs", limits.max_seqs, 1, 1 << 20);
  check("max_blocks", limits.max_blocks, 0, 1 << 26);
  check("max_seqs * max_blocks", limits.max_seqs * limits.max_blocks, 0, kMaxSize);
  check("arena_floats", limits.arena_floats, 0, int64_t{1} << 40);
  check("n_vocab", limits.n_vocab, 0, kMaxSize - 1);
  return limits;
}

Threads checked(Threads threads) {
  ThreadPool::check_size(threads.decode);
  ThreadPool::check_size(threads.prefill);
  return threads;
}

// Values that hold what their op wrote: an op may read only these, and writing one ends those it
// covers.
class LiveValues {
 public:
  explicit LiveValues(const Limits& limits) : limits_(limits) {}

  void read(const OpReader& reader, const std::vector<Value>& inputs) const {
    for (const Value& value : inputs) {
      const bool live = std::find(live_.begin(), live_.end(), value) != live_.end();
      reader.expect(
          live, "an input at " + std::to_string(value.offset) + " is not what an earlier op wrote");
    }
  }
  void write(const std::vector<Value>& outputs) {
    for (const Value& out : outputs) {
      std::erase_if(live_,
                    [&](const Value& v) { return v.offset < end(out) && out.offset < end(v); });
      live_.push_back(out);
    }
  }

 private:
  int64_t end(const Value& v) const {
    return v.offset +
           v.width * (v.rows == RowClass::kTokens ? limits_.max_tokens : limits_.max_rows);
  }
  const Limits& limits_;
  std::vector<Value> live_;
};

}  // namespace

Program::Program(const std::vector<OpSpec>& ops, std::shared_ptr<const KVPool> kv,
                 const Limits& limits, Threads threads, const std::optional<OpSpec>& hidden)
    : limits_(checked(limits)),
      kv_(std::move(kv)),
      threads_(checked(threads)),
      pool_(std::make_shared<ThreadPool>(threads.most())),
      build_{limits_, kv_.get(), threads.most(), {}, {}, kMaxSize - 1},
      columns_(limits_),
      arena_(static_cast<size_t>(limits_.arena_floats) * sizeof(float)),
      token_seqs_(static_cast<size_t>(limits_.max_tokens)),
      block_writers_(kv_ == nullptr ? 0 : static_cast<size_t>(kv_->n_blocks)) {
  if (kv_ != nullptr &&
      (limits_.max_blocks < 1 || limits_.max_blocks > kMaxSize / kv_->block_size)) {
    throw std::invalid_argument("limits: max_blocks does not fit the KVPool's block size");
  }
  kernels();  // a wrong PYLLM_ISA is an error here, not on a worker
  build_ops(ops, hidden);
  activations_ = Buffer(static_cast<size_t>(build_.activation_bytes));
  allocate_for_workers();
}

Program::~Program() = default;

void Program::build_ops(const std::vector<OpSpec>& ops, const std::optional<OpSpec>& hidden) {
  if (ops.empty()) throw std::invalid_argument("a program needs at least one op");
  LiveValues live(limits_);
  for (size_t i = 0; i < ops.size(); ++i) {
    OpReader reader(ops[i], static_cast<int64_t>(i), limits_);
    const MakeOp make = find_op(reader, ops[i].name);
    live.read(reader, ops[i].inputs);
    ops_.push_back({ops[i].name, make(reader, build_)});
    live.write(ops[i].outputs);
  }
  if (hidden.has_value()) {
    OpReader reader(*hidden, static_cast<int64_t>(ops.size()), limits_);
    const MakeOp make = find_op(reader, hidden->name);
    live.read(reader, hidden->inputs);
    hidden_ = {hidden->name, make(reader, build_)};
    hidden_value_ = hidden->outputs.back();
    reader.expect(hidden_value_.rows == RowClass::kRows, "hidden states must be of class R");
  }
  op_times_.resize(ops_.size() + 1);
  for (const OpSpec& op : ops) collect_weights(op);
  result_ = ops.back().outputs.back();
  has_logits_ =
      limits_.n_vocab > 0 && result_.rows == RowClass::kRows && result_.width == limits_.n_vocab;
  has_maxima_ = has_logits_ && ops.back().name == "linear";
  if (has_maxima_) {
    const int64_t n_tiles = (result_.width + kTileRows - 1) / kTileRows;
    logit_maxima_ = Buffer(static_cast<size_t>(limits_.max_rows * n_tiles) * sizeof(float));
  }
}

void Program::collect_weights(const OpSpec& op) {
  for (const Weight& weight : op.weights) {
    const auto* matrix = std::get_if<std::shared_ptr<const PackedWeight>>(&weight);
    if (matrix == nullptr || (*matrix)->file() == nullptr) continue;
    files_.insert((*matrix)->file());
  }
}

// Everything whose size depends on the number of workers.
void Program::allocate_for_workers() {
  constexpr int64_t kPage = 4096;  // scratch of two workers never shares a line or a page
  build_.worker_bytes = (build_.worker_bytes + kPage - 1) / kPage * kPage;
  worker_scratch_ = Buffer(static_cast<size_t>(build_.worker_bytes * pool_->size()));
  partials_ = Buffer(static_cast<size_t>(build_.partial_floats) * sizeof(float));
  samplers_.clear();
  for (int i = 0; has_logits_ && i < pool_->size(); ++i) samplers_.emplace_back(limits_.n_vocab);
}

void Program::set_threads(Threads threads) {
  const std::lock_guard lock(running_);
  const bool same_team = checked(threads).most() == pool_->size();
  use_pool(same_team ? pool_ : std::make_shared<ThreadPool>(threads.most()), threads);
}

void Program::share_threads(const Program& other) {
  const std::lock_guard lock(running_);
  use_pool(other.pool_, other.threads_);
}

void Program::use_pool(std::shared_ptr<ThreadPool> pool, Threads threads) {
  const bool same_size = pool->size() == pool_->size();
  pool_ = std::move(pool);
  threads_ = threads;
  if (same_size) return;
  build_.n_workers = threads.most();
  for (AttentionPlan& plan : build_.attention_plans) plan.reserve_for(threads.most());
  allocate_for_workers();
}

int Program::workers_of(const StepShape& shape) const {
  return shape.n_tokens == shape.n_seqs ? threads_.decode : threads_.prefill;
}

void Program::check(const StepRequest& request) {
  check_columns(columns_, limits_, request.shape, build_.token_limit, kv_.get(),
                build_.widest_window(), &block_writers_);
  const int64_t n_hidden = request.shape.n_rows - request.shape.n_logits;
  if (n_hidden < 0 || (n_hidden > 0 && !has_hidden())) {
    throw std::invalid_argument("n_hidden is " + std::to_string(n_hidden) + ", allowed: " +
                                (has_hidden() ? "0 or more" : "0, the program gives none"));
  }
  if (has_logits_)
    check_sampling(columns_, request.shape.n_logits, request.sampling, limits_.n_vocab);
}

StepContext Program::begin_step(const StepRequest& request) {
  // A first answer is not kept waiting for new memory, whose pages cost as much as all else (an 8B
  // model: 2 core-seconds); packing its weights once more in the next step costs half of that.
  const bool keep = begun_ || request.shape.n_tokens > kFirstTokens;
  begun_ = true;
  for (int64_t seq = 0; seq < request.shape.n_seqs; ++seq) {
    const auto s = static_cast<size_t>(seq);
    std::fill(token_seqs_.begin() + columns_.seq_starts[s],
              token_seqs_.begin() + columns_.seq_starts[s + 1], static_cast<int32_t>(seq));
  }
  for (AttentionPlan& plan : build_.attention_plans)
    plan.build(columns_, request.shape, workers_of(request.shape));
  return {request.shape,
          columns_,
          limits_,
          token_seqs_.data(),
          *pool_,
          arena_.as<float>(),
          activations_.data(),
          worker_scratch_.data(),
          build_.worker_bytes,
          keep,
          partials_.as<float>(),
          build_.rope_tables,
          build_.attention_plans,
          result_,
          has_maxima_ ? logit_maxima_.as<float>() : nullptr};
}

bool Program::step(const StepRequest& request) {
  const std::lock_guard lock(running_);
  check(request);
  n_logits_ = 0;
  if (!run(request, {})) return false;
  n_logits_ = request.shape.n_logits;
  return true;
}

int64_t Program::advance(const StepShape& shape, int64_t first_op, std::chrono::nanoseconds time) {
  const std::lock_guard lock(running_);
  if (first_op < 0 || first_op >= n_ops() || shape.n_rows != 0) {
    throw std::invalid_argument("first_op is " + std::to_string(first_op) +
                                " of a step without rows, allowed: 0 to " +
                                std::to_string(n_ops() - 1));
  }
  const StepRequest request{shape, {}};
  check(request);
  const bool finished = run(request, {static_cast<size_t>(first_op), Clock::now() + time});
  return finished ? n_ops() : static_cast<int64_t>(next_op_);
}

std::chrono::nanoseconds Program::longest_op() const {
  return *std::max_element(op_times_.begin(), op_times_.end());
}

// False: it stopped between two ops.
bool Program::run(const StepRequest& request, const Slice& slice) {
  stops_.fill(false);
  slice_ = slice;
  const StepContext context = begin_step(request);
  if (request.profile) profile_.assign(ops_.size() + 1, {});
  struct Job {
    Program* program;
    const StepContext& step;
    const StepRequest& request;
  } job{this, context, request};
  op_start_ = Clock::now();
  pool_->run(
      [](void* job_pointer, int worker) {
        const Job& j = *static_cast<Job*>(job_pointer);
        j.program->work(j.step, j.request, worker);
      },
      &job, workers_of(request.shape));
  for (const auto& file : files_) file->check();
  const bool stopped = stops_[0] || stops_[1];
  if (stopped) interrupted_.store(false, std::memory_order_relaxed);
  return !stopped;
}

// Called by every worker.
void Program::fill_rope_tables(const StepContext& step) {
  for (const RopeTable& table : step.rope_tables) {
    for_chunks(step.pool, step.shape.n_tokens, 8, [&](int64_t begin, int64_t end) {
      for (int64_t t = begin; t < end; ++t)
        table.fill(t, columns_.positions[static_cast<size_t>(t)]);
    });
    step.pool.barrier();
  }
}

// The walk: every worker runs every op, a barrier after each.
void Program::work(const StepContext& step, const StepRequest& request, int worker) {
  if (slice_.first_op == 0) fill_rope_tables(step);
  Clock::time_point start = Clock::now();
  const auto record = [&](size_t index, const std::string& name, const OpCost& cost) {
    if (!request.profile || worker != 0) return;
    const auto now = Clock::now();
    const int64_t ns = std::chrono::duration_cast<std::chrono::nanoseconds>(now - start).count();
    profile_[index] = {static_cast<int64_t>(index), name, ns, cost.bytes, cost.macs};
    start = now;
  };
  const StepContext head = step.with_rows(step.shape.n_logits);
  size_t n_run = 0;
  for (size_t i = slice_.first_op; i < ops_.size(); ++i) {
    const bool is_head = has_logits_ && i + 1 == ops_.size();
    const StepContext& rows = is_head ? head : step;
    if (!is_head || head.shape.n_rows > 0) {
      ops_[i].op->run(rows, worker);
      if (told_to_stop(step, i, n_run++, worker)) return;
    }
    record(i, ops_[i].name, request.profile ? ops_[i].op->cost(rows) : OpCost{});
  }
  if (head.shape.n_rows < step.shape.n_rows) {  // after the head: it may overwrite what that reads
    hidden_.op->run(step, worker);
    if (told_to_stop(step, ops_.size(), n_run, worker)) return;
  }
  sample_rows(head, request, worker);
  step.pool.barrier();
  record(ops_.size(), "sample", {head.shape.n_rows * limits_.n_vocab * int64_t{sizeof(float)}, 0});
}

// The barrier after an op, and what worker 0 saw before it: all workers leave after the same op.
// Two places take turns, because worker 0 may decide about the next op while others still read.
bool Program::told_to_stop(const StepContext& step, size_t op, size_t n_ops_before, int worker) {
  bool& stop = stops_[n_ops_before % stops_.size()];
  if (worker == 0) stop = out_of_time(op + 1) || interrupted_.load(std::memory_order_relaxed);
  step.pool.barrier();
  return stop;
}

// Asked by worker 0 after every op of a slice.
bool Program::out_of_time(size_t next_op) {
  if (!slice_.deadline.has_value()) return false;
  const Clock::time_point now = Clock::now();
  op_times_[next_op - 1] = now - op_start_;
  op_start_ = now;
  next_op_ = next_op;
  return next_op < ops_.size() && now + op_times_[next_op] > *slice_.deadline;
}

void Program::sample_rows(const StepContext& step, const StepRequest& request, int worker) {
  if (!has_logits_) return;
  for_chunks(step.pool, step.shape.n_rows, 1, [&](int64_t row, int64_t) {
    samplers_[static_cast<size_t>(worker)].sample(
        {step.row(result_, row), step.tile_maxima(result_, row)}, row, request.sampling, &columns_);
  });
}

void Program::sample(int64_t row, const float* processed, const SamplingInputs& inputs) {
  const std::lock_guard lock(running_);
  if (row < 0 || row >= n_logits_ || !has_logits_) {
    throw std::invalid_argument("row is " + std::to_string(row) + ", allowed: one of the " +
                                std::to_string(n_logits_) + " rows of the last step");
  }
  check_sampling(columns_, n_logits_, inputs, limits_.n_vocab);
  for (int64_t i = 0; i < limits_.n_vocab; ++i) {
    if (!(processed[i] <= std::numeric_limits<float>::max())) {
      throw std::invalid_argument("logits[" + std::to_string(i) + "] is " +
                                  std::to_string(processed[i]) + ", allowed: finite, or -inf");
    }
  }
  samplers_[0].sample({logits() + row * limits_.n_vocab, nullptr, processed}, row, inputs,
                      &columns_);
}

std::vector<OpProfile> Program::profile() {
  const std::lock_guard lock(running_);
  return profile_;
}

std::vector<float> Program::read(const Value& value, int64_t n_rows) {
  const std::lock_guard lock(running_);
  const bool inside = value.offset >= 0 && value.width >= 1 && n_rows >= 0 &&
                      value.offset <= limits_.arena_floats &&
                      n_rows <= (limits_.arena_floats - value.offset) / value.width;
  if (!inside) throw std::invalid_argument("read: the value does not lie in the arena");
  const float* begin = arena_.as<float>() + value.offset;
  return {begin, begin + n_rows * value.width};
}

}  // namespace pyllm
