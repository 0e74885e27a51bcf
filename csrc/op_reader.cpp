#include "op_reader.h"

#include <cmath>
#include <stdexcept>

namespace pyllm {
namespace {

int64_t capacity(const Limits& limits, RowClass rows) {
  return rows == RowClass::kTokens ? limits.max_tokens : limits.max_rows;
}

}  // namespace

size_t BuildContext::rope_table(const std::vector<float>& inv_freq, double mscale) {
  for (size_t i = 0; i < rope_tables.size(); ++i) {
    if (rope_tables[i].inv_freq == inv_freq && rope_tables[i].mscale == mscale) return i;
  }
  rope_tables.emplace_back(inv_freq, mscale, limits.max_tokens);
  return rope_tables.size() - 1;
}

size_t BuildContext::attention_plan(int64_t n_heads, int64_t n_kv_heads, int64_t window) {
  for (size_t i = 0; i < attention_plans.size(); ++i) {
    const AttentionPlan& plan = attention_plans[i];
    const bool same_heads = plan.n_heads == n_heads && plan.n_kv_heads == n_kv_heads;
    if (same_heads && plan.window == window) return i;
  }
  attention_plans.emplace_back(n_heads, n_kv_heads, window, limits.max_blocks * kv->block_size,
                               limits, n_workers);
  return attention_plans.size() - 1;
}

int64_t BuildContext::widest_window() const {
  int64_t widest = 0;
  for (const AttentionPlan& plan : attention_plans) {
    if (plan.window == 0) return 0;
    widest = std::max(widest, plan.window);
  }
  return widest;
}

OpReader::OpReader(const OpSpec& spec, int64_t index, const Limits& limits)
    : spec_(spec), index_(index), limits_(limits) {}

void OpReader::fail(const std::string& what) const {
  throw std::invalid_argument("op " + std::to_string(index_) + " (" + spec_.name + "): " + what);
}

void OpReader::expect(bool condition, const std::string& what) const {
  if (!condition) fail(what);
}

void OpReader::expect_inputs(size_t least, size_t most) const {
  const size_t n = spec_.inputs.size();
  expect(n >= least && n <= most, "takes " + std::to_string(least) + " to " + std::to_string(most) +
                                      " inputs, got " + std::to_string(n));
}

void OpReader::expect_outputs(size_t least, size_t most) const {
  const size_t n = spec_.outputs.size();
  expect(n >= least && n <= most, "takes " + std::to_string(least) + " to " + std::to_string(most) +
                                      " outputs, got " + std::to_string(n));
}

void OpReader::expect_weights(size_t least, size_t most) const {
  const size_t n = spec_.weights.size();
  expect(n >= least && n <= most, "takes " + std::to_string(least) + " to " + std::to_string(most) +
                                      " weights, got " + std::to_string(n));
}

Value OpReader::checked(const Value& value, const char* list, size_t i) const {
  const int64_t arena = limits_.arena_floats;
  const int64_t rows = capacity(limits_, value.rows);
  const bool inside = value.offset >= 0 && value.offset <= arena && value.width >= 1 &&
                      value.width <= (arena - value.offset) / std::max<int64_t>(1, rows);
  expect(inside, std::string(list) + "[" + std::to_string(i) + "] does not lie in the arena");
  return value;
}

bool OpReader::overlap(const Value& a, const Value& b) const {
  const int64_t a_end = a.offset + a.width * capacity(limits_, a.rows);
  const int64_t b_end = b.offset + b.width * capacity(limits_, b.rows);
  return a.offset < b_end && b.offset < a_end;
}

void OpReader::expect_no_overlap(int in_place_input) const {
  const auto& outputs = spec_.outputs;
  for (size_t o = 0; o < outputs.size(); ++o) {
    const std::string name = "outputs[" + std::to_string(o) + "]";
    for (size_t other = 0; other < o; ++other) {
      expect(!overlap(outputs[o], outputs[other]), name + " overlaps another output");
    }
    for (size_t i = 0; i < spec_.inputs.size(); ++i) {
      const bool in_place = in_place_input == kAnyInput || in_place_input == static_cast<int>(i);
      const bool fine =
          !overlap(outputs[o], spec_.inputs[i]) || (in_place && outputs[o] == spec_.inputs[i]);
      expect(fine, name + " overlaps inputs[" + std::to_string(i) + "]");
    }
  }
}

bool OpReader::has_weight(size_t i) const {
  return i < spec_.weights.size() && !std::holds_alternative<std::monostate>(spec_.weights[i]);
}

std::shared_ptr<const PackedWeight> OpReader::matrix(size_t i) const {
  const auto* weight = std::get_if<std::shared_ptr<const PackedWeight>>(&spec_.weights.at(i));
  expect(weight != nullptr && *weight != nullptr,
         "weights[" + std::to_string(i) + "] must be a PackedTensor");
  return *weight;
}

std::vector<float> OpReader::vector(size_t i, int64_t length) const {
  const std::string name = "weights[" + std::to_string(i) + "]";
  const auto* values = std::get_if<std::vector<float>>(&spec_.weights.at(i));
  expect(values != nullptr, name + " must be a float32 vector");
  expect(static_cast<int64_t>(values->size()) == length,
         name + " must have " + std::to_string(length) + " elements, has " +
             std::to_string(values->size()));
  for (const float v : *values) expect(std::isfinite(v), name + " is not finite");
  return *values;
}

std::vector<float> OpReader::optional_vector(size_t i, int64_t length) const {
  return has_weight(i) ? vector(i, length) : std::vector<float>{};
}

const Attr& OpReader::attr(const std::string& name) {
  const auto found = spec_.attrs.find(name);
  expect(found != spec_.attrs.end(), "attribute " + name + " is missing");
  used_attrs_.insert(name);
  return found->second;
}

int64_t OpReader::integer(const std::string& name, int64_t low, int64_t high) {
  const auto* value = std::get_if<int64_t>(&attr(name));
  expect(value != nullptr, "attribute " + name + " must be an integer");
  expect(*value >= low && *value <= high, "attribute " + name + " is " + std::to_string(*value) +
                                              ", allowed " + std::to_string(low) + " to " +
                                              std::to_string(high));
  return *value;
}

double OpReader::number(const std::string& name, double low, double high) {
  const Attr& value = attr(name);
  const auto* whole = std::get_if<int64_t>(&value);
  const auto* real = std::get_if<double>(&value);
  expect(whole != nullptr || real != nullptr, "attribute " + name + " must be a number");
  const double number = whole != nullptr ? static_cast<double>(*whole) : *real;
  expect(number >= low && number <= high, "attribute " + name + " is " + std::to_string(number) +
                                              ", allowed " + std::to_string(low) + " to " +
                                              std::to_string(high));
  return number;
}

double OpReader::number_or(const std::string& name, double low, double high, double absent) {
  return spec_.attrs.contains(name) ? number(name, low, high) : absent;
}

size_t OpReader::choice(const std::string& name, const std::vector<std::string>& choices) {
  const auto* text = std::get_if<std::string>(&attr(name));
  expect(text != nullptr, "attribute " + name + " must be text");
  std::string known;
  for (size_t i = 0; i < choices.size(); ++i) {
    if (choices[i] == *text) return i;
    known += (i == 0 ? "" : ", ") + choices[i];
  }
  fail("attribute " + name + " is '" + *text + "', allowed " + known);
}

void OpReader::expect_no_other_attrs() const {
  for (const auto& [name, value] : spec_.attrs) {
    expect(used_attrs_.contains(name), "unknown attribute " + name);
  }
}

}  // namespace pyllm
