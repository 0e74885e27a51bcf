#include "isa/select.h"

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

#if defined(__x86_64__)
#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#elif defined(__aarch64__) && defined(__APPLE__)
#include <sys/sysctl.h>
#endif

namespace pyllm {

extern "C" {
#define PYLLM_ISA_ROW(name) const KernelTable* pyllm_table_##name();
#include "isa/isa.def"
#undef PYLLM_ISA_ROW
}

namespace {

struct Isa {
  const char* name;
  const KernelTable* (*table)();
};
constexpr Isa kIsas[] = {
#define PYLLM_ISA_ROW(name) {#name, pyllm_table_##name},
#include "isa/isa.def"
#undef PYLLM_ISA_ROW
};

struct Requirement {
  bool present;
  const char* feature;
};

std::string first_missing(std::initializer_list<Requirement> requirements) {
  for (const Requirement& r : requirements)
    if (!r.present) return r.feature;
  return "";
}

#if defined(__x86_64__)
// What CPUID reports and the operating system saves on a context switch (XGETBV): both are needed.
struct Cpu {
  unsigned leaf1_ecx = 0, leaf7_ebx = 0, leaf7_ecx = 0, leaf7_edx = 0, leaf7_1_eax = 0;
  unsigned long long saved_state = 0;

  Cpu() {
    unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
    if (__get_cpuid(1, &eax, &ebx, &ecx, &edx)) leaf1_ecx = ecx;
    if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx))
      leaf7_ebx = ebx, leaf7_ecx = ecx, leaf7_edx = edx;
    const unsigned subleaves = eax;
    if (subleaves >= 1 && __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx)) leaf7_1_eax = eax;
    if (has(leaf1_ecx, 27)) {
      unsigned low = 0, high = 0;
      __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
      saved_state = (static_cast<unsigned long long>(high) << 32) | low;
    }
  }
  static bool has(unsigned bits, int bit) { return (bits >> bit & 1u) != 0; }
};

bool made_by_amd() {
  unsigned eax = 0, name[3] = {};
  __get_cpuid(0, &eax, &name[0], &name[2], &name[1]);  // EBX, EDX, ECX spell it
  return std::memcmp(name, "AuthenticAMD", sizeof name) == 0;
}

// Tile registers are 8 KB a thread more to save: Linux gives them to a process that asks, once for
// all of its threads.
bool may_use_tiles() {
#if defined(__linux__)
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM
  static const bool granted = syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
  return granted;
#else
  return false;
#endif
}

std::string missing_for(const std::string& name) {
  static const Cpu cpu;
  const auto has = Cpu::has;
  const bool ymm = (cpu.saved_state & 0x06) == 0x06, zmm = (cpu.saved_state & 0xe6) == 0xe6;
  if (name == "scalar") return "";
  const std::string avx2 = first_missing({{has(cpu.leaf7_ebx, 5), "AVX2"},
                                          {has(cpu.leaf1_ecx, 12), "FMA"},
                                          {has(cpu.leaf1_ecx, 29), "F16C"},
                                          {ymm, "operating system support for 256-bit registers"}});
  if (!avx2.empty() || name == "avx2") return avx2;
  if (name == "avxvnni") return first_missing({{has(cpu.leaf7_1_eax, 4), "AVX-VNNI"}});
  const std::string avx512 =
      first_missing({{has(cpu.leaf7_ebx, 16), "AVX512F"},
                     {has(cpu.leaf7_ebx, 17), "AVX512DQ"},
                     {has(cpu.leaf7_ebx, 28), "AVX512CD"},
                     {has(cpu.leaf7_ebx, 30), "AVX512BW"},
                     {has(cpu.leaf7_ebx, 31), "AVX512VL"},
                     {zmm, "operating system support for 512-bit registers"}});
  if (!avx512.empty() || name == "avx512") return avx512;
  const std::string vnni = first_missing({{has(cpu.leaf7_ecx, 11), "AVX512_VNNI"}});
  if (!vnni.empty() || name == "avx512vnni") return vnni;
  const bool tiles = (cpu.saved_state & 0x60000) == 0x60000;
  const std::string amx = first_missing({{has(cpu.leaf7_edx, 24), "AMX-TILE"},
                                         {has(cpu.leaf7_edx, 25), "AMX-INT8"},
                                         {tiles, "operating system support for tile registers"}});
  if (!amx.empty()) return amx;
  return may_use_tiles() ? "" : "permission to use tile registers (arch_prctl refused it)";
}
#elif defined(__aarch64__)
#if defined(__APPLE__)
bool has_feature(const char* name) {
  int value = 0;
  size_t size = sizeof value;
  return sysctlbyname(name, &value, &size, nullptr, 0) == 0 && value != 0;
}
bool has_dotprod() { return has_feature("hw.optional.arm.FEAT_DotProd"); }
bool has_i8mm() { return has_feature("hw.optional.arm.FEAT_I8MM"); }
#elif defined(__linux__)
// Bits of the kernel's interface, spelled out because older headers lack the second.
bool has_dotprod() { return (getauxval(AT_HWCAP) >> 20 & 1u) != 0; }
bool has_i8mm() { return (getauxval(AT_HWCAP2) >> 13 & 1u) != 0; }
#else
bool has_dotprod() { return false; }
bool has_i8mm() { return false; }
#endif

std::string missing_for(const std::string& name) {
  if (name == "scalar" || name == "neon") return "";
  const std::string dotprod = first_missing({{has_dotprod(), "FEAT_DotProd"}});
  if (!dotprod.empty() || name == "dotprod") return dotprod;
  return first_missing({{has_i8mm(), "FEAT_I8MM"}});
}
#else
std::string missing_for(const std::string&) { return ""; }
#endif

std::string known_names() {
  std::string names;
  for (const Isa& isa : kIsas) names += (names.empty() ? "" : ", ") + std::string(isa.name);
  return names;
}

const KernelTable* find_table(const std::string& name) {
  const std::string missing = missing_feature(name);
  if (!missing.empty()) throw std::invalid_argument("instruction set '" + name + "': " + missing);
  for (const Isa& isa : kIsas)
    if (name == isa.name) return isa.table();
  return nullptr;
}

const KernelTable* initial_table() {
  if (const char* wanted = std::getenv("PYLLM_ISA"); wanted != nullptr && *wanted != '\0') {
    try {
      return find_table(wanted);
    } catch (const std::invalid_argument& error) {
      throw std::runtime_error("PYLLM_ISA: " + std::string(error.what()));
    }
  }
  return find_table(supported_isas().front());
}

std::atomic<bool>& panels() {
#if defined(__x86_64__)
  static std::atomic<bool> pay{!made_by_amd()};
#else
  static std::atomic<bool> pay{true};
#endif
  return pay;
}

std::atomic<const KernelTable*>& active() {
  static std::atomic<const KernelTable*> table{initial_table()};
  return table;
}

}  // namespace

std::string missing_feature(const std::string& name) {
  for (const Isa& isa : kIsas) {
    if (name != isa.name) continue;
    const std::string missing = missing_for(name);
    return missing.empty() ? "" : "this machine has no " + missing;
  }
  return "not one of " + known_names();
}

std::vector<std::string> supported_isas() {
  std::vector<std::string> names;
  for (const Isa& isa : kIsas)
    if (missing_for(isa.name).empty()) names.emplace_back(isa.name);
  return names;
}

const KernelTable& kernels() { return *active().load(std::memory_order_acquire); }

bool panels_pay() { return panels().load(std::memory_order_relaxed); }

void set_panels_pay(bool pay) { panels().store(pay, std::memory_order_relaxed); }

void set_isa(const std::string& name) {
  active().store(find_table(name), std::memory_order_release);
}

}  // namespace pyllm
