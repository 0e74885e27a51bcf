// compare_tables [NAME]: every instruction set of this machine against the scalar one; with NAME,
// that one must also be the machine's first choice.
#include "compare.h"

int main(int argc, char** argv) {
  const std::string first = pyllm::kernels().name;
  if (argc > 1 && first != argv[1]) {
    std::printf("this machine selects %s, expected %s\n", first.c_str(), argv[1]);
    return 1;
  }
  pyllm_test::Comparison comparison;
  pyllm_test::compare_packing(&comparison);
  pyllm_test::compare_matmul(&comparison);
  pyllm_test::compare_programs(&comparison);
  pyllm_test::compare_attention(&comparison);
  std::printf("%s:", first.c_str());
  for (const std::string& isa : pyllm::supported_isas()) std::printf(" %s", isa.c_str());
  std::printf(": %lld comparisons, %lld differ\n", static_cast<long long>(comparison.cases()),
              static_cast<long long>(comparison.failures()));
  return comparison.failures() == 0 && comparison.cases() > 0 ? 0 : 1;
}
