// Reads an op's description while a program is built: everything is checked, nothing is left over.
#ifndef PYLLM_CSRC_OP_READER_H_
#define PYLLM_CSRC_OP_READER_H_

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "op.h"

namespace pyllm {

// What ops ask of the program while it is built.
struct BuildContext {
  const Limits& limits;
  const KVPool* kv;  // may be null
  int n_workers;
  std::vector<RopeTable> rope_tables;
  std::vector<AttentionPlan> attention_plans;
  int64_t token_limit;           // rows of the smallest embedding table
  int64_t activation_bytes = 0;  // of the op that needs most
  int64_t worker_bytes = 0;      // scratch per worker, of the op that needs most
  int64_t partial_floats = 0;

  // Index of the table with these frequencies, made when new.
  size_t rope_table(const std::vector<float>& inv_freq, double mscale);
  size_t attention_plan(int64_t n_heads, int64_t n_kv_heads, int64_t window);
  // Tokens that a row sees in the layer that sees most, itself included; 0: all before it.
  int64_t widest_window() const;
};

// All methods throw std::invalid_argument with the op's name and the field at fault.
class OpReader {
 public:
  OpReader(const OpSpec& spec, int64_t index, const Limits& limits);

  [[noreturn]] void fail(const std::string& what) const;
  void expect(bool condition, const std::string& what) const;

  // Exact numbers of inputs, outputs and weights; a range where an op takes options.
  void expect_inputs(size_t least, size_t most) const;
  void expect_outputs(size_t least, size_t most) const;
  void expect_weights(size_t least, size_t most) const;

  size_t n_inputs() const { return spec_.inputs.size(); }
  // Values that lie in the arena.
  Value input(size_t i) const { return checked(spec_.inputs[i], "inputs", i); }
  Value output(size_t i) const { return checked(spec_.outputs[i], "outputs", i); }
  // Outputs may share memory with inputs only when they are the very same value and the op works in
  // place on it: any input (kAnyInput), none (kNoInput) or one.
  static constexpr int kNoInput = -1, kAnyInput = -2;
  void expect_no_overlap(int in_place_input) const;

  bool has_weight(size_t i) const;
  std::shared_ptr<const PackedWeight> matrix(size_t i) const;
  std::vector<float> vector(size_t i, int64_t length) const;           // finite
  std::vector<float> optional_vector(size_t i, int64_t length) const;  // empty when None

  int64_t integer(const std::string& name, int64_t low, int64_t high);
  double number(const std::string& name, double low, double high);
  double number_or(const std::string& name, double low, double high, double absent);
  // Position of the attribute's text in `choices`.
  size_t choice(const std::string& name, const std::vector<std::string>& choices);
  void expect_no_other_attrs() const;

 private:
  Value checked(const Value& value, const char* list, size_t i) const;
  bool overlap(const Value& a, const Value& b) const;
  const Attr& attr(const std::string& name);

  const OpSpec& spec_;
  const int64_t index_;
  const Limits& limits_;
  std::set<std::string> used_attrs_;
};

}  // namespace pyllm

#endif  // PYLLM_CSRC_OP_READER_H_
