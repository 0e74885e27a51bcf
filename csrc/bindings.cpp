// The whole Python surface of the core: pyllm._core. Everything here converts; nothing computes.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <pybind11/typing.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <tuple>
#include <utility>
#include <vector>

#include "checksum.h"
#include "isa/select.h"
#include "kernels/r16.h"
#include "packed_cache.h"
#include "packed_weight.h"
#include "program.h"
#include "runtime/kv_pool.h"
#include "sampling/dry.h"
#include "token_mask.h"

namespace py = pybind11;

namespace pyllm {
namespace {

template <typename T>
using Array = py::array_t<T, py::array::c_style | py::array::forcecast>;
using PyValue = std::tuple<int64_t, int64_t, std::string>;  // offset in floats, width, "T" or "R"
using PyHistory = std::tuple<Array<int32_t>, Array<int32_t>, Array<int32_t>>;
using PyBias = std::tuple<Array<int32_t>, Array<int32_t>, Array<float>>;
using PyMasks = std::tuple<Array<int32_t>, Array<uint32_t>>;

// Any contiguous buffer as bytes, for as long as this lives.
class Bytes {
 public:
  explicit Bytes(const py::buffer& buffer) {
    if (PyObject_GetBuffer(buffer.ptr(), &view_, PyBUF_SIMPLE) != 0) throw py::error_already_set();
  }
  ~Bytes() { PyBuffer_Release(&view_); }
  Bytes(const Bytes&) = delete;
  Bytes& operator=(const Bytes&) = delete;
  const uint8_t* data() const { return static_cast<const uint8_t*>(view_.buf); }
  int64_t size() const { return view_.len; }

 private:
  Py_buffer view_{};
};

// ---- descriptions of ops ----

Value to_value(const PyValue& v) {
  const auto& [offset, width, rows] = v;
  if (rows != "T" && rows != "R")
    throw std::invalid_argument("row class is '" + rows + "', allowed: T, R");
  return {offset, width, rows == "T" ? RowClass::kTokens : RowClass::kRows};
}

std::vector<Value> to_values(const py::handle& list) {
  std::vector<Value> values;
  for (const auto& item : list) values.push_back(to_value(item.cast<PyValue>()));
  return values;
}

Weight to_weight(const py::handle& weight) {
  if (weight.is_none()) return std::monostate{};
  if (py::isinstance<PackedWeight>(weight)) {
    return std::shared_ptr<const PackedWeight>(weight.cast<std::shared_ptr<PackedWeight>>());
  }
  const auto vector = weight.cast<Array<float>>();
  if (vector.ndim() != 1) throw std::invalid_argument("a vector weight must have one dimension");
  return std::vector<float>(vector.data(), vector.data() + vector.size());
}

Attr to_attr(const py::handle& attr) {
  if (py::isinstance<py::str>(attr)) return attr.cast<std::string>();
  if (py::isinstance<py::float_>(attr)) return attr.cast<double>();
  return attr.cast<int64_t>();
}

OpSpec to_op(const py::dict& op) {
  OpSpec spec;
  spec.name = op["op"].cast<std::string>();
  spec.inputs = to_values(op["inputs"]);
  spec.outputs = to_values(op["outputs"]);
  for (const auto& weight : op["weights"]) spec.weights.push_back(to_weight(weight));
  for (const auto& [name, value] : op["attrs"].cast<py::dict>()) {
    spec.attrs[name.cast<std::string>()] = to_attr(value);
  }
  return spec;
}

Limits to_limits(const py::dict& sizes) {
  const auto size = [&](const char* name) {
    if (!sizes.contains(name))
      throw std::invalid_argument(std::string("limits: ") + name + " is missing");
    return sizes[name].cast<int64_t>();
  };
  return {size("max_tokens"), size("max_rows"),     size("max_seqs"),
          size("max_blocks"), size("arena_floats"), size("n_vocab")};
}

// ---- columns ----

// A NumPy view of memory that `owner` keeps alive.
template <typename T>
py::array view(T* data, std::vector<py::ssize_t> shape, const py::object& owner) {
  return py::array_t<T>(std::move(shape), data, owner);
}

py::typing::Dict<py::str, py::array> columns(const py::object& self) {
  auto& program = self.cast<Program&>();
  Columns& c = program.columns();
  const Limits& limits = program.limits();
  py::dict views;
  const auto add = [&](const char* name, auto& vector, py::ssize_t columns_per_row = 0) {
    const auto size = static_cast<py::ssize_t>(vector.size());
    if (columns_per_row == 0) {
      views[name] = view(vector.data(), {size}, self);
    } else {
      views[name] = view(vector.data(), {size / columns_per_row, columns_per_row}, self);
    }
  };
  add("tokens", c.tokens);
  add("positions", c.positions);
  add("seq_starts", c.seq_starts);
  views["block_tables"] = view(c.block_tables.data(), {limits.max_seqs, limits.max_blocks}, self);
  add("logit_rows", c.logit_rows);
  add("temperature", c.temperature);
  add("top_k", c.top_k);
  add("top_p", c.top_p);
  add("min_p", c.min_p);
  add("repetition_penalty", c.repetition_penalty);
  add("presence_penalty", c.presence_penalty);
  add("frequency_penalty", c.frequency_penalty);
  add("seed", c.seed);
  add("rng_position", c.rng_position);
  add("n_logprobs", c.n_logprobs);
  add("target", c.target);
  add("deferred", c.deferred);
  add("sampler_order", c.sampler_order);
  add("typical_p", c.typical_p);
  add("top_n_sigma", c.top_n_sigma);
  add("xtc_probability", c.xtc_probability);
  add("xtc_threshold", c.xtc_threshold);
  add("dynatemp_range", c.dynatemp_range);
  add("dynatemp_exponent", c.dynatemp_exponent);
  add("mirostat_tau", c.mirostat_tau);
  add("mirostat_eta", c.mirostat_eta);
  add("mirostat_mu", c.mirostat_mu);
  add("min_keep", c.min_keep);
  add("sampled", c.sampled);
  add("status", c.status);
  add("logprob", c.logprob);
  add("top_ids", c.top_ids, kMaxLogprobs);
  add("top_logprobs", c.top_logprobs, kMaxLogprobs);
  add("log_sum", c.log_sum);
  add("rank", c.rank);
  add("mirostat_next", c.mirostat_next);
  if (program.has_logits()) {
    views["logits"] = view(program.logits(), {limits.max_rows, limits.n_vocab}, self);
  }
  if (program.has_hidden()) {
    views["hidden"] = view(program.hidden(), {limits.max_rows, program.hidden_width()}, self);
  }
  return views;
}

// ---- steps ----

History to_history(const std::optional<PyHistory>& history) {
  if (!history.has_value()) return {};
  const auto& [offsets, tokens, counts] = *history;
  if (tokens.size() != counts.size()) {
    throw std::invalid_argument("history tokens and output_counts differ in length");
  }
  return {offsets.data(), tokens.data(), counts.data(), offsets.size(), tokens.size()};
}

LogitBias to_bias(const char* name, const std::optional<PyBias>& bias) {
  if (!bias.has_value()) return {};
  const auto& [offsets, tokens, values] = *bias;
  if (tokens.size() != values.size()) {
    throw std::invalid_argument(std::string(name) + " tokens and values differ in length");
  }
  return {offsets.data(), tokens.data(), values.data(), offsets.size(), tokens.size()};
}

TokenMasks to_masks(const std::optional<PyMasks>& masks, const MaskGate* gate) {
  if (!masks.has_value()) return {};
  const auto& [rows, words] = *masks;
  if (words.ndim() != 2 || words.shape(0) != rows.size()) {
    throw std::invalid_argument("mask words must have a line for each of the mask rows");
  }
  return {rows.data(), words.data(), rows.size(), words.shape(1), gate};
}

bool step(Program& program, int64_t n_tokens, int64_t n_seqs, int64_t n_rows,
          const std::optional<PyHistory>& history, const std::optional<PyBias>& bias, bool profile,
          const std::optional<PyMasks>& masks, std::optional<MaskGate*> mask_gate,
          const std::optional<PyBias>& dry, int64_t n_hidden) {
  const StepRequest request{{n_tokens, n_seqs, n_rows + n_hidden, n_rows},
                            {to_masks(masks, mask_gate.value_or(nullptr)), to_history(history),
                             to_bias("bias", bias), to_bias("dry", dry)},
                            profile};
  const py::gil_scoped_release unlocked;
  return program.step(request);
}

int64_t advance(Program& program, int64_t n_tokens, int64_t n_seqs, int64_t first_op,
                double seconds) {
  constexpr double kLongest = 1e9;  // as nanoseconds it fits an int64
  const std::chrono::duration<double> time(seconds > 0 ? std::min(seconds, kLongest) : 0.0);
  const py::gil_scoped_release unlocked;
  return program.advance({n_tokens, n_seqs, 0, 0}, first_op,
                         std::chrono::duration_cast<std::chrono::nanoseconds>(time));
}

void sample(Program& program, int64_t row, const Array<float>& logits,
            const std::optional<PyHistory>& history, const std::optional<PyBias>& bias,
            const std::optional<PyMasks>& masks, const std::optional<PyBias>& dry) {
  if (logits.ndim() != 1 || logits.size() != program.limits().n_vocab) {
    throw std::invalid_argument("logits must have one dimension of n_vocab numbers");
  }
  const SamplingInputs inputs{to_masks(masks, nullptr), to_history(history), to_bias("bias", bias),
                              to_bias("dry", dry)};
  const py::gil_scoped_release unlocked;
  program.sample(row, logits.data(), inputs);
}

py::typing::Dict<py::int_, py::int_> repeats(const Array<int32_t>& tokens, int64_t limit,
                                             int64_t min_length) {
  py::dict found;
  for (const auto& [token, length] :
       find_repeats(tokens.data(), tokens.size(), limit, min_length)) {
    found[py::int_(token)] = length;
  }
  return found;
}

std::vector<std::tuple<int64_t, std::string, int64_t, int64_t, int64_t>> profile(Program& program) {
  std::vector<std::tuple<int64_t, std::string, int64_t, int64_t, int64_t>> rows;
  for (const OpProfile& op : program.profile()) {
    rows.emplace_back(op.index, op.name, op.nanoseconds, op.bytes, op.macs);
  }
  return rows;
}

py::array_t<float> read(Program& program, const PyValue& value, int64_t n_rows) {
  const Value v = to_value(value);
  const std::vector<float> rows = program.read(v, n_rows);
  return py::array_t<float>({n_rows, v.width}, rows.data());
}

// ---- KV blocks, for tests ----

KvType to_kv_type(const std::string& name) {
  for (const KvType type : {kKvF16, kKvBf16, kKvQ8_0, kKvQ4_0}) {
    if (name == kKvTypeNames[type]) return type;
  }
  throw std::invalid_argument("KVPool: no type '" + name + "'");
}

// [block_size][dim] of one layer, block and head; `at` gives a token's element.
template <typename At>
py::array_t<float> token_array(int64_t block_size, int64_t dim, At at) {
  py::array_t<float> result({block_size, dim});
  float* out = result.mutable_data();
  for (int64_t t = 0; t < block_size; ++t) {
    for (int64_t d = 0; d < dim; ++d) *out++ = at(t, d);
  }
  return result;
}

void check_block(const KVPool& kv, int64_t layer, int64_t block, int64_t head) {
  const bool inside = layer >= 0 && layer < kv.n_layers && block >= 0 && block < kv.n_blocks &&
                      head >= 0 && head < kv.n_kv_heads;
  if (!inside) throw std::invalid_argument("no such layer, block or head");
}

py::array_t<float> keys(const KVPool& kv, int64_t layer, int64_t block, int64_t head) {
  check_block(kv, layer, block, head);
  return token_array(kv.block_size, kv.k_dim,
                     [&](int64_t t, int64_t d) { return kv.key(layer, block, head, t, d); });
}

py::array_t<float> values(const KVPool& kv, int64_t layer, int64_t block, int64_t head) {
  check_block(kv, layer, block, head);
  return token_array(kv.block_size, kv.v_dim,
                     [&](int64_t t, int64_t d) { return kv.value(layer, block, head, t, d); });
}

// ---- KV blocks, for the persistent prefix cache ----

void check_whole_block(const KVPool& kv, int64_t block, const py::buffer_info& bytes) {
  if (block < 0 || block >= kv.n_blocks) throw std::invalid_argument("no such block");
  if (bytes.ndim != 1 || bytes.itemsize != 1 || bytes.strides[0] != 1 ||
      bytes.size != kv.block_bytes()) {
    throw std::invalid_argument("a block has " + std::to_string(kv.block_bytes()) + " bytes");
  }
}

void copy_out(const KVPool& kv, int64_t block, const py::buffer& to) {
  const py::buffer_info bytes = to.request(/*writable=*/true);
  check_whole_block(kv, block, bytes);
  kv.copy_out(block, static_cast<uint8_t*>(bytes.ptr));
}

void copy_in(KVPool& kv, int64_t block, const py::buffer& from) {
  const py::buffer_info bytes = from.request();
  check_whole_block(kv, block, bytes);
  kv.copy_in(block, static_cast<const uint8_t*>(bytes.ptr));
}

// ---- weights ----

std::shared_ptr<PackedWeight> pack(int type, int64_t rows, int64_t cols, const py::buffer& raw,
                                   int threads) {
  const Bytes bytes(raw);
  const py::gil_scoped_release unlocked;
  return std::const_pointer_cast<PackedWeight>(
      PackedWeight::pack(type, rows, cols, bytes.data(), bytes.size(), threads));
}

std::shared_ptr<PackedWeight> from_file(int type, int64_t rows, int64_t cols,
                                        const std::shared_ptr<WeightFile>& file, int64_t offset) {
  return std::make_shared<PackedWeight>(type, rows, cols, file, offset);
}

void write_cache(int descriptor, const py::bytes& key, const PackedCache::Weights& weights,
                 int threads, const py::typing::Callable<void(py::int_, py::int_)>& progress) {
  const std::string key_bytes = key;
  const py::gil_scoped_release unlocked;
  PackedCache::write(descriptor, key_bytes, weights, threads, [&](int64_t done, int64_t total) {
    const py::gil_scoped_acquire locked;
    progress(done, total);
  });
}

// std::system_error as OSError with its errno.
void translate_system_error(std::exception_ptr pointer) {
  try {
    if (pointer) std::rethrow_exception(pointer);
  } catch (const std::system_error& error) {
    errno = error.code().value();
    PyErr_SetFromErrno(PyExc_OSError);
  }
}

py::array_t<uint8_t> unpack(const PackedWeight& weight) {
  py::array_t<uint8_t> raw(weight.file_bytes());
  weight.unpack(raw.mutable_data());
  return raw;
}

}  // namespace

PYBIND11_MODULE(_core, m) {
  m.doc() = "The C++ core: packed weights, the KV pool and programs.";
  m.def("isa", [] { return std::string(kernels().name); }, "Name of the active instruction set.");
  m.def("isas", &supported_isas, "Instruction sets usable on this machine, best first.");
  m.def(
      "set_isa", &set_isa, py::arg("name"),
      "Switch the instruction set (for tests); ValueError with the reason when it cannot be used.");

  m.def("panels_pay", &panels_pay, "Whether many tokens go through unpacked panels of weights.");
  m.def("set_panels_pay", &set_panels_pay, py::arg("pay"), "Decide that (for tests).");

  py::register_local_exception_translator(&translate_system_error);

  py::class_<WeightFile, std::shared_ptr<WeightFile>>(
      m, "WeightFile", "A model file that weights are read from while steps run.")
      .def(py::init<int>(), py::arg("descriptor"), "Duplicates the descriptor; OSError.");

  py::class_<PackedWeight, std::shared_ptr<PackedWeight>>(m, "PackedTensor",
                                                          "A 2-D weight in 16-row tiles.")
      .def_static(
          "pack", &pack, py::arg("type"), py::arg("rows"), py::arg("cols"), py::arg("raw"),
          py::arg("threads"),
          "Pack the file's row-major blocks (rows, cols) of a ggml type; GIL released.\n\n"
          "ValueError when the type is unknown or the shape or the number of bytes does not fit.")
      .def_static(
          "from_file", &from_file, py::arg("type"), py::arg("rows"), py::arg("cols"),
          py::arg("file"), py::arg("offset"),
          "A matrix that lies row-major at `offset`; each tile is packed by the first thread that "
          "needs it.\n\n"
          "ValueError when the type is unknown or the shape does not fit it.")
      .def(
          "ensure",
          [](const PackedWeight& w, int64_t begin, int64_t end) {
            if (begin < 0 || end > w.n_tiles()) throw std::invalid_argument("no such tiles");
            const py::gil_scoped_release unlocked;
            w.ensure(begin, end);
            if (w.file() != nullptr) w.file()->check();
          },
          py::arg("begin"), py::arg("end"),
          "Pack tiles of 16 rows now (for tests); RuntimeError when the file cannot be read.")
      .def("unpack", &unpack, "The bytes that were packed, uint8 [file bytes].")
      .def_property_readonly(
          "type", [](const PackedWeight& w) { return w.tensor().type; }, "ggml type id")
      .def_property_readonly("rows", [](const PackedWeight& w) { return w.tensor().rows; })
      .def_property_readonly("cols", [](const PackedWeight& w) { return w.tensor().cols; })
      .def_property_readonly("nbytes", &PackedWeight::nbytes, "Bytes of packed memory.");

  m.def(
      "open_packed_cache",
      [](const std::string& path, const py::bytes& key, const PackedCache::Weights& weights) {
        PackedCache::open(path, key, weights);
      },
      py::arg("path"), py::arg("key"), py::arg("weights"),
      "Let the weights' tiles live in the mapped cache file.\n\n"
      "ValueError when it is not a whole cache with that key; OSError.");
  m.def("write_packed_cache", &write_cache, py::arg("descriptor"), py::arg("key"),
        py::arg("weights"), py::arg("threads"), py::arg("progress"),
        "Write and sync the cache file of weights made by from_file; GIL released.\n\n"
        "progress(done, total) counts bytes. OSError, RuntimeError when the model cannot be read.");
  m.def(
      "checksum",
      [](const py::buffer& data, uint64_t seed) {
        const Bytes bytes(data);
        const py::gil_scoped_release unlocked;
        return checksum(bytes.data(), bytes.size(), seed);
      },
      py::arg("data"), py::arg("seed"),
      "64 bits against accidents, not against an adversary; GIL released.");
  m.def(
      "find_repeats", &repeats, py::arg("tokens"), py::arg("limit"), py::arg("min_length"),
      "Tokens that followed an earlier occurrence of the text's end, and its length in tokens: at "
      "least\n"
      "min_length, counted up to limit.");
  m.attr("LAYOUT_VERSION") = kLayoutVersion;

  py::class_<KVPool, std::shared_ptr<KVPool>>(m, "KVPool", "Paged keys and values of all layers.")
      .def(py::init([](int64_t n_layers, int64_t n_kv_heads, int64_t k_dim, int64_t v_dim,
                       int64_t block_size, int64_t n_blocks, const std::string& k_type,
                       const std::string& v_type) {
             return std::make_shared<KVPool>(n_layers, n_kv_heads, k_dim, v_dim, block_size,
                                             n_blocks, to_kv_type(k_type), to_kv_type(v_type));
           }),
           py::arg("n_layers"), py::arg("n_kv_heads"), py::arg("k_dim"), py::arg("v_dim"),
           py::arg("block_size"), py::arg("n_blocks"), py::arg("k_type") = "f16",
           py::arg("v_type") = "f16",
           "block_size is in tokens, a multiple of 16; types are f16, bf16, q8_0 or q4_0. Memory "
           "becomes\n"
           "resident as blocks are written.")
      .def_readonly("n_layers", &KVPool::n_layers)
      .def_readonly("n_kv_heads", &KVPool::n_kv_heads)
      .def_readonly("k_dim", &KVPool::k_dim)
      .def_readonly("v_dim", &KVPool::v_dim)
      .def_readonly("block_size", &KVPool::block_size)
      .def_readonly("n_blocks", &KVPool::n_blocks)
      .def_property_readonly("k_type", [](const KVPool& kv) { return kKvTypeNames[kv.k_type]; })
      .def_property_readonly("v_type", [](const KVPool& kv) { return kKvTypeNames[kv.v_type]; })
      .def_property_readonly("nbytes", &KVPool::nbytes)
      .def_property_readonly("block_bytes", &KVPool::block_bytes)
      .def_property_readonly("layout", &KVPool::layout, "Names what the bytes of a block mean.")
      .def("copy_out", &copy_out, py::arg("block"), py::arg("to"),
           "Copy a block's bytes into a buffer of block_bytes; ValueError when it does not fit.")
      .def("copy_in", &copy_in, py::arg("block"), py::arg("source"),
           "Overwrite a block with bytes that copy_out of a pool with the same layout gave.")
      .def("keys", &keys, py::arg("layer"), py::arg("block"), py::arg("head"),
           "Decoded copy, float32 [block_size, k_dim].")
      .def("values", &values, py::arg("layer"), py::arg("block"), py::arg("head"),
           "Decoded copy, float32 [block_size, v_dim].");

  py::class_<MaskGate>(m, "MaskGate", "Where sampling waits for token masks that are written.")
      .def(py::init<>(), "Closed.")
      .def("close", &MaskGate::close)
      .def("open", &MaskGate::open, "The words of the masks are complete.");

  py::class_<Program>(m, "Program",
                      "A compiled model: ops over one arena, run by all threads once per step.")
      .def(py::init([](const py::typing::List<py::typing::Dict<py::str, py::object>>& ops,
                       const std::optional<std::shared_ptr<KVPool>>& kv,
                       const py::typing::Dict<py::str, py::int_>& limits, int threads,
                       std::optional<int> threads_batch,
                       const std::optional<py::typing::Dict<py::str, py::object>>& hidden) {
             std::vector<OpSpec> specs;
             for (const auto& op : ops) specs.push_back(to_op(op.cast<py::dict>()));
             std::optional<OpSpec> last;
             if (hidden.has_value()) last = to_op(*hidden);
             return std::make_unique<Program>(specs, kv.value_or(nullptr), to_limits(limits),
                                              Threads{threads, threads_batch.value_or(threads)},
                                              last);
           }),
           py::arg("ops"), py::arg("kv"), py::arg("limits"), py::arg("threads"),
           py::arg("threads_batch") = py::none(), py::arg("hidden") = py::none(),
           "Check everything and allocate; ValueError names the op and what does not fit. `hidden` "
           "is the op\n"
           "that gives hidden states to the steps that want them.")
      .def_property_readonly("columns", &columns, "NumPy views of what a step reads and writes.")
      .def("step", &step, py::arg("n_tokens"), py::arg("n_seqs"), py::arg("n_rows"),
           py::arg("history") = py::none(), py::arg("bias") = py::none(),
           py::arg("profile") = false, py::arg("masks") = py::none(),
           py::arg("mask_gate") = py::none(), py::arg("dry") = py::none(), py::arg("n_hidden") = 0,
           "Run the first entries of the columns; GIL released. ValueError names an impossible "
           "column value;\n"
           "then nothing has changed. False: interrupted, the results are worthless. Behind the "
           "n_rows that\n"
           "are sampled come n_hidden rows that only leave their hidden states.")
      .def("advance", &advance, py::arg("n_tokens"), py::arg("n_seqs"), py::arg("first_op"),
           py::arg("seconds"),
           "Run the ops of a step without rows from first_op on: one, and more while they fit into "
           "the time; GIL\n"
           "released. Returns the op to go on with, with the same columns, or n_ops at the end. "
           "ValueError as\n"
           "from step.")
      .def_property_readonly("n_ops", &Program::n_ops)
      .def_property_readonly(
          "longest_op",
          [](const Program& p) { return std::chrono::duration<double>(p.longest_op()).count(); },
          "Seconds that the slowest op took when `advance` ran it last.")
      .def("interrupt", &Program::interrupt,
           "End the step that runs, or the next one when none does; returns at once.")
      .def("sample", &sample, py::arg("row"), py::arg("logits"), py::arg("history") = py::none(),
           py::arg("bias") = py::none(), py::arg("masks") = py::none(), py::arg("dry") = py::none(),
           "Sample a row of the last step from other logits, float32 [n_vocab]; GIL released. The "
           "row's log\n"
           "probabilities remain those of the model's logits. ValueError as from step.")
      .def("profile", &profile,
           "(op index, name, nanoseconds, bytes, multiply-adds) of the last profiled step.")
      .def("read", &read, py::arg("value"), py::arg("n_rows"),
           "Copy of a value's first rows (for tests).")
      .def_property_readonly("threads", [](const Program& p) { return p.threads().decode; })
      .def_property_readonly("threads_batch", [](const Program& p) { return p.threads().prefill; })
      .def(
          "set_threads",
          [](Program& p, int n,
             std::optional<int> n_batch) { p.set_threads({n, n_batch.value_or(n)}); },
          py::arg("n"), py::arg("n_batch") = py::none(), py::call_guard<py::gil_scoped_release>(),
          "Workers of steps in which every sequence brings one token, and of other steps.")
      .def("share_threads", &Program::share_threads, py::arg("other"),
           "Work on the threads of another program; when both are asked to step, one waits.");
}

}  // namespace pyllm
