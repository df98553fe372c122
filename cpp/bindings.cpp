// What Python sees of the core. Arguments were checked in Python (arrays.py, network.py): here
// arrays are of the right type, shape and layout or it is an error. The two calls that need no such
// checks are in fastcall.hpp.
#include <pybind11/functional.h>
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cmath>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>

#include "fastcall.hpp"

namespace chainrule {
namespace {

using namespace pybind11::literals;

template <class T>
using Array = py::array_t<T, py::array::c_style>;

template <class T>
void expect(const Array<T>& x, std::ptrdiff_t rows, std::ptrdiff_t cols, const char* name) {
  const bool fits = x.ndim() == 2 && (rows < 0 || x.shape(0) == rows) && x.shape(1) == cols &&
                    reinterpret_cast<std::uintptr_t>(x.data()) % alignof(T) == 0;
  if (!fits) throw std::invalid_argument(std::string(name) + ": not the shape that was checked");
}

template <class T>
using Weights = std::optional<Array<T>>;

template <class T>
Data<T> data_of(const Network<T>& net, const Array<T>& X, const Array<T>& Y,
                const Objective<T>& objective, const Weights<T>& weight) {
  expect(X, -1, net.n(0), "X");
  expect(Y, X.shape(0), objective.targets(net.n(net.L())), "Y");
  if (X.shape(0) == 0) throw std::invalid_argument("X: 0 sample(s)");
  if (weight && weight->size() != X.shape(0))
    throw std::invalid_argument("weight: one for each sample");
  return {X.data(), Y.data(), X.shape(0), weight ? weight->data() : nullptr, &objective};
}

template <class T>
py::array_t<T> view(Buffer<T>& buffer, const py::handle& owner) {
  return py::array_t<T>(buffer.size(), buffer.data(), owner);
}

template <class T>
py::array_t<T> rows_of(const Buffer<T>& padded_rows, std::ptrdiff_t m, std::ptrdiff_t n,
                       std::ptrdiff_t ld) {
  py::array_t<T> out({m, n});
  for (std::ptrdiff_t i = 0; i < m; ++i)
    std::copy_n(padded_rows.data() + i * ld, n, out.mutable_data() + i * n);
  return out;
}

template <class T>
double gradient_into(const Handle<T>& net, const Array<T>& X, const Array<T>& Y, Array<T>& out,
                     const Objective<T>& objective, const Weights<T>& weight) {
  const Data<T> data = data_of(net, X, Y, objective, weight);
  if (out.size() != net.layout.size) throw std::invalid_argument("out: not the size of theta");
  T* g = out.mutable_data();
  const py::gil_scoped_release release;
  return gradient(net, data, g);
}

template <class T>
py::tuple trace(const Handle<T>& net, const Array<T>& X, const Array<T>& Y, Array<T>& out,
                const Objective<T>& objective, const Weights<T>& weight) {
  const Data<T> data = data_of(net, X, Y, objective, weight);
  Layered<T> passes(net, data.m, 1, Layered<T>::Keep::everything);
  T* to = out.mutable_data();
  const double cost =
      passes
          .backpropagate(
              Team(), data.as_batch(),
              [&](std::ptrdiff_t at, const T* g, std::ptrdiff_t n) { std::copy_n(g, n, to + at); },
              [] { return false; })
          .cost;
  py::list z, a, delta;
  for (int l = 0; l <= net.L(); ++l) {
    a.append(rows_of(passes.a[l], data.m, net.n(l), passes.ld[l]));
    if (l == 0) continue;
    z.append(rows_of(passes.z[l], data.m, net.n(l), passes.ld[l]));
    delta.append(rows_of(passes.delta[l], data.m, net.n(l), passes.ld[l]));
  }
  return py::make_tuple(cost, z, a, delta);
}

const char* reason(Stopped stopped) {
  switch (stopped) {
    case Stopped::epochs:
      return "epochs";
    case Stopped::callback:
      return "callback";
    case Stopped::gradient:
      return "gradient";
    case Stopped::change:
      return "change";
    case Stopped::line_search:
      return "line_search";
    default:
      return "diverged";
  }
}

template <class T, class Method>
py::tuple fit(Training<T, Method>& training, const Array<T>& X, const Array<T>& Y, const Plan& plan,
              const Weights<T>& weight, const std::optional<Array<T>>& X_val,
              const std::optional<Array<T>>& Y_val, const Weights<T>& weight_val,
              const py::object& on_epoch) {
  Handle<T>& net = training.net;
  const Objective<T>& objective = training.objective;
  const Data<T> data = data_of(net, X, Y, objective, weight);
  Data<T> validation{nullptr, nullptr, 0};
  if (X_val && Y_val) validation = data_of(net, *X_val, *Y_val, objective, weight_val);
  const TrainingLock<T> lock(net);

  // A Python exception must not unwind through a team of threads: it waits here for the end.
  std::exception_ptr raised;
  Observer observer;
  observer.poll = [&]() -> bool {
    const py::gil_scoped_acquire acquire;
    return PyErr_CheckSignals() != 0;
  };
  if (!on_epoch.is_none())
    observer.epoch = [&](int epoch, double cost, double val_cost) -> bool {
      const py::gil_scoped_acquire acquire;
      try {
        if (PyErr_CheckSignals() != 0) throw py::error_already_set();
        return on_epoch(epoch, cost, val_cost).template cast<bool>();
      } catch (...) {
        raised = std::current_exception();
        return true;
      }
    };

  Report report;
  {
    const py::gil_scoped_release release;
    report = training.trainer.fit(data, validation, plan, observer);
  }
  if (raised) std::rethrow_exception(raised);
  if (report.stopped == Stopped::interrupted) throw py::error_already_set();
  return py::make_tuple(report.cost, report.val_cost, reason(report.stopped));
}

// What all trainers can be asked to do.
template <class T, class Method>
void bind_calls(py::class_<Training<T, Method>>& trainer) {
  using Held = Training<T, Method>;
  trainer
      .def_property(
          "steps", [](const Held& self) { return self.trainer.steps(); },
          [](Held& self, std::int64_t steps) { self.trainer.set_steps(steps); })
      .def_property(
          "learning_rate", [](const Held& self) { return self.trainer.learning_rate(); },
          [](Held& self, double rate) { self.trainer.set_learning_rate(rate); })
      .def(
          "step",
          [](Held& self, const Array<T>& X, const Array<T>& Y, const Weights<T>& weight) {
            const Data<T> batch = data_of(self.net, X, Y, self.objective, weight);
            const TrainingLock<T> lock(self.net, &self);
            double cost = 0;
            {
              const py::gil_scoped_release release;
              cost = self.trainer.step(batch);
            }
            if (!std::isfinite(cost)) {
              PyErr_SetString(PyExc_ArithmeticError, "the cost is not finite");
              throw py::error_already_set();
            }
            return cost;
          },
          py::arg("X").noconvert(), py::arg("Y").noconvert(),
          py::arg("weight").noconvert() = py::none())
      .def(
          "fit",
          [](Held& self, const Array<T>& X, const Array<T>& Y, int epochs,
             std::ptrdiff_t batch_size, bool shuffle, std::uint64_t seed, std::uint64_t first_epoch,
             const std::optional<Array<T>>& X_val, const std::optional<Array<T>>& Y_val,
             const py::object& on_epoch, const std::optional<Array<double>>& rates,
             const Weights<T>& weight, const Weights<T>& weight_val) {
            const double* const rate = rates ? rates->data() : nullptr;
            if (rates && rates->size() < epochs * blocks_of(X.shape(0), batch_size))
              throw std::invalid_argument("rates: one for each step");
            return fit(self, X, Y, {epochs, batch_size, shuffle, seed, first_epoch, rate}, weight,
                       X_val, Y_val, weight_val, on_epoch);
          },
          py::arg("X").noconvert(), py::arg("Y").noconvert(), "epochs"_a, "batch_size"_a,
          "shuffle"_a, "seed"_a, "first_epoch"_a, py::arg("X_val").noconvert() = py::none(),
          py::arg("Y_val").noconvert() = py::none(), "on_epoch"_a = py::none(),
          "rates"_a = py::none(), py::arg("weight").noconvert() = py::none(),
          py::arg("weight_val").noconvert() = py::none());
}

template <class T>
void bind(py::module_& m, const char* network_name, const char* trainer_name,
          const char* objective_name) {
  using Net = Handle<T>;
  py::class_<Objective<T>>(m, objective_name)
      .def(py::init<const std::string&, const std::vector<double>&, const std::string&, int>(),
           "loss"_a, "parameters"_a, "reduction"_a, "outputs"_a);
  py::class_<Net> network(m, network_name);
  network
      .def(py::init<std::vector<int>, const std::vector<std::string>&>(), "widths"_a,
           "activations"_a)
      .def_property_readonly(
          "theta", [](const py::object& self) { return view(self.cast<Net&>().theta, self); })
      .def_property(
          "dropout", [](const Net& net) { return net.dropout; },
          [](Net& net, const std::vector<double>& rates) {
            if (rates.size() != net.dropout.size())
              throw std::invalid_argument("dropout: one for each layer, 0..L");
            net.dropout = rates;
            net.workspace.passes.reset();
          })
      .def_property_readonly("offsets",
                             [](const Net& net) {
                               std::vector<std::pair<std::ptrdiff_t, std::ptrdiff_t>> pairs;
                               for (int l = 1; l <= net.L(); ++l)
                                 pairs.emplace_back(net.layout.W(l), net.layout.b(l));
                               return pairs;
                             })
      .def(
          "predict",
          [](const Net& net, const Array<T>& X, Array<T>& out) {
            expect(X, -1, net.n(0), "X");
            expect(out, X.shape(0), net.n(net.L()), "out");
            T* to = out.mutable_data();
            const T* from = X.data();
            const std::ptrdiff_t rows = X.shape(0);
            const py::gil_scoped_release release;
            if (rows > 0) predict(net, from, rows, to);
          },
          py::arg("X").noconvert(), py::arg("out").noconvert())
      .def(
          "cost",
          [](const Net& net, const Array<T>& X, const Array<T>& Y, const Objective<T>& objective,
             const Weights<T>& weight) {
            const Data<T> data = data_of(net, X, Y, objective, weight);
            const py::gil_scoped_release release;
            return cost(net, data);
          },
          py::arg("X").noconvert(), py::arg("Y").noconvert(), "objective"_a = Objective<T>(),
          py::arg("weight").noconvert() = py::none())
      .def("gradient", gradient_into<T>, py::arg("X").noconvert(), py::arg("Y").noconvert(),
           py::arg("out").noconvert(), "objective"_a = Objective<T>(),
           py::arg("weight").noconvert() = py::none())
      .def("trace", trace<T>, py::arg("X").noconvert(), py::arg("Y").noconvert(),
           py::arg("out").noconvert(), "objective"_a = Objective<T>(),
           py::arg("weight").noconvert() = py::none());

  py::class_<Training<T>> trainer(m, trainer_name);
  trainer
      .def(py::init([](const py::object& owner, const std::string& rule, double learning_rate,
                       double momentum, double smoothing, double epsilon, double shrink,
                       double grow, double least, double most, double weight_decay,
                       double clip_value, double clip_norm, double l1, double l2, bool per_row,
                       const Objective<T>& objective) {
             Net& net = owner.cast<Net&>();
             const Optimizer optimizer{
                 rule_named(rule), learning_rate, momentum, smoothing, epsilon,
                 shrink,           grow,          least,    most,      weight_decay,
                 clip_value,       clip_norm,     l1,       l2,        per_row};
             return std::unique_ptr<Training<T>>(new Training<T>{
                 owner, net, objective, Trainer<T>(net, optimizer, &net.workspace)});
           }),
           "net"_a, py::kw_only(), "rule"_a, "learning_rate"_a, "momentum"_a = 0.0,
           "smoothing"_a = 0.0, "epsilon"_a = 0.0, "shrink"_a = 0.0, "grow"_a = 0.0,
           "least"_a = 0.0, "most"_a = 0.0, "weight_decay"_a = 0.0,
           "clip_value"_a = std::numeric_limits<double>::infinity(),
           "clip_norm"_a = std::numeric_limits<double>::infinity(), "l1"_a = 0.0, "l2"_a = 0.0,
           "per_row"_a = false, "objective"_a = Objective<T>())
      .def_property_readonly("state",
                             [](const py::object& self) {
                               auto& trainer = self.template cast<Training<T>&>().trainer;
                               py::list arrays;
                               for (int k = 0; k < trainer.states(); ++k)
                                 arrays.append(view(trainer.state(k), self));
                               return arrays;
                             })
      .def("set_penalties",
           [](Training<T>& self, double l1, double l2) { self.trainer.set_penalties(l1, l2); })
      .def("hold",  // until release(): the calls between are one training
           [](Training<T>& self) {
             if (self.net.training.exchange(true))
               throw std::runtime_error("the network is being trained");
             self.net.holder = &self;
           })
      .def("release",
           [](Training<T>& self) {
             self.net.holder = nullptr;
             self.net.training = false;
           })
      .def("set_seed", [](Training<T>& self, std::uint64_t seed) { self.trainer.set_seed(seed); })
      .def(
          "outputs",
          [](Training<T>& self, const Array<T>& X) {
            expect(X, -1, self.net.n(0), "X");
            py::array_t<T> out({X.shape(0), std::ptrdiff_t{self.net.n(self.net.L())}});
            const TrainingLock<T> lock(self.net, &self);
            if (X.shape(0) > 0)
              self.trainer.outputs({X.data(), nullptr, X.shape(0)}, out.mutable_data());
            return out;
          },
          py::arg("X").noconvert());
  bind_calls<T, Trainer<T>>(trainer);
  add_fastcalls<T>(network, trainer);
}

template <class T>
void bind_lbfgs(py::module_& m, const char* name) {
  using Held = Training<T, Lbfgs<T>>;
  py::class_<Held> trainer(m, name);
  trainer
      .def(py::init([](const py::object& owner, double learning_rate, int history_size,
                       double tolerance_grad, double tolerance_change, int max_line_search,
                       double l2, bool per_row, const Objective<T>& objective) {
             auto& net = owner.cast<Handle<T>&>();
             const LbfgsOptions options{learning_rate, history_size, tolerance_grad,
                                        tolerance_change, max_line_search};
             return std::unique_ptr<Held>(new Held{
                 owner, net, objective, Lbfgs<T>(net, options, {l2, per_row}, &net.workspace)});
           }),
           "net"_a, py::kw_only(), "learning_rate"_a, "history_size"_a, "tolerance_grad"_a,
           "tolerance_change"_a, "max_line_search"_a, "l2"_a = 0.0, "per_row"_a = false,
           "objective"_a = Objective<T>())
      .def_property_readonly("state",
                             [](const py::object& self) {
                               Held& held = self.template cast<Held&>();
                               py::list arrays;
                               for (int k = 0; k < held.trainer.states(); ++k) {
                                 py::array_t<T> array(held.net.layout.size, held.trainer.state(k),
                                                      self);
                                 array.attr("flags").attr("writeable") = false;
                                 arrays.append(array);
                               }
                               return arrays;
                             })
      .def("set_state",
           [](Held& self, const std::vector<Array<T>>& arrays) {
             std::vector<const T*> parts;
             for (const Array<T>& array : arrays) {
               if (array.size() != self.net.layout.size)
                 throw std::invalid_argument("state: not the size of theta");
               parts.push_back(array.data());
             }
             const TrainingLock<T> lock(self.net);
             if (!self.trainer.set_state(parts))
               throw std::invalid_argument("state: not one of LBFGS with this history_size");
           })
      .def("set_penalties",
           [](Held& self, double l1, double l2) {
             if (l1 != 0) throw std::invalid_argument("l1: not with LBFGS");
             self.trainer.set_decay(l2);
           })
      .def_property_readonly("evaluations",
                             [](const Held& self) { return self.trainer.evaluations(); })
      .def("try_step",  // an iteration takes longer than the look at the arrays in Python
           [](const Held&, const py::object&, const py::object&) { return py::none(); });
  bind_calls<T, Lbfgs<T>>(trainer);
}

// f(z) and f'(z) by the kernels in use, for tests.
template <class T>
py::tuple activation(const std::string& name, const Array<T>& z) {
  const Activation f = activation_named(name);
  const Kernels<T>& table = kernels<T>();
  const std::ptrdiff_t size = z.size();
  Buffer<T> kept(size), a(size), df(size);
  std::copy_n(z.data(), size, kept.data());
  std::fill_n(df.data(), size, T(1));
  table.activate(f, a.data(), kept.data(), size);
  table.derive(f, df.data(), kept.data(), a.data(), size);
  return py::make_tuple(py::array_t<T>(size, a.data()), py::array_t<T>(size, df.data()));
}

}  // namespace
}  // namespace chainrule

PYBIND11_MODULE(_core, m, pybind11::mod_gil_not_used()) {
  using namespace chainrule;
  using namespace pybind11::literals;
  m.doc() = "The compiled core of chainrule; private, use the package's public names.";
  m.attr("__version__") = CHAINRULE_VERSION;

  bind<float>(m, "Network32", "Trainer32", "Objective32");
  bind<double>(m, "Network64", "Trainer64", "Objective64");
  bind_lbfgs<float>(m, "Lbfgs32");
  bind_lbfgs<double>(m, "Lbfgs64");

  m.def("build_info", [] {
    py::dict info;
    info["compiler"] = CHAINRULE_COMPILER;
    info["isas_built"] = built_isas();
    info["isas_detected"] = detected_isas();
    info["isa"] = used_isa();
    info["openmp"] = built_with_openmp();
    return info;
  });
  m.def("get_isa", used_isa);
  m.def("set_isa", set_isa, "name"_a);
  m.def("get_num_threads", max_threads);
  m.def("set_num_threads", set_max_threads, "k"_a);
  m.def(
      "permutation",
      [](std::uint64_t seed, std::uint64_t epoch, std::ptrdiff_t rows) {
        py::array_t<std::int64_t> order(rows);
        permutation(seed, epoch, order.mutable_data(), rows);
        return order;
      },
      "seed"_a, "epoch"_a, "m"_a);
  m.def(
      "uniform",
      [](std::uint64_t seed, std::uint64_t stream, std::ptrdiff_t size) {
        py::array_t<double> out(size);
        uniform(seed, stream, out.mutable_data(), size);
        return out;
      },
      "seed"_a, "stream"_a, "size"_a);
  m.def("activation", activation<float>, "name"_a, py::arg("z").noconvert());
  m.def("activation", activation<double>, "name"_a, py::arg("z").noconvert());
}
