// The C++ kernels without torch: their values beside plain sums in float64, and the promises about
// bits. Prints a hash of all bits per kernel; returns 1 when a check failed.

#include "../../../graphcolumns/ops/cpp/vectors.h"
#include "checks.h"

namespace {

void run(const char* name, void (*check)(standalone::Bits&)) {
  standalone::Bits bits;
  check(bits);
  std::printf("%s %016llx\n", name, static_cast<unsigned long long>(bits.hash));
}

}  // namespace

int main() {
  std::printf("vectors of %d bytes\n", VECTOR_BYTES);
  run("column_attention", standalone::check_attention);
  run("edge_linear", standalone::check_edge_linear);
  run("edge_scores", standalone::check_edge_scores);
  run("untied_linear", standalone::check_untied_linear);
  std::printf("%d checks, %d failed\n", standalone::checks, standalone::failures);
  return standalone::failures > 0;
}
