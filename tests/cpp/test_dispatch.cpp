// The forced instruction set is the one that runs; one that is not there is an error.
#include <cstdlib>
#include <stdexcept>

#include "check.hpp"

int main() {
  const auto here = chainrule::detected_isas();
  CHECK(!here.empty() && here.front() == "baseline");
  CHECK(chainrule::used_isa() == here.back());  // the best, when nothing is forced
  for_each_isa([](const std::string& isa) {
    CHECK(chainrule::used_isa() == isa);
    CHECK(chainrule::kernels<float>().isa == isa);
    CHECK(chainrule::kernels<double>().isa == isa);
  });
  const std::string before = chainrule::used_isa();
  const std::string message =
      message_of<std::invalid_argument>([] { chainrule::set_isa("avx1024"); });
  CHECK(message.find("avx1024") != std::string::npos) << message;
  for (const std::string& name : here) CHECK(message.find(name) != std::string::npos) << message;
  CHECK(chainrule::used_isa() == before);
  return report("dispatch");
}
