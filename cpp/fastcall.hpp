// What Python holds of the core, and the two calls of a control loop: predict and step on a batch
// that is exactly as the core wants it. They cost a look at each argument and no conversion; for
// any other argument they do nothing and answer None, and the checks in Python (arrays.py,
// network.py) convert it or say what is wrong with it.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <atomic>
#include <cmath>
#include <cstdint>
#include <functional>
#include <stdexcept>

#include "lbfgs.hpp"

namespace chainrule {

namespace py = pybind11;

// The network that Python holds, and the lock that keeps two trainings off it.
template <class T>
struct Handle : Network<T> {
  using Network<T>::Network;
  std::atomic<bool> training{false};
  const void* holder = nullptr;  // who trains it in several calls
  Workspace<T> workspace;        // of whoever trains it
};

template <class T>
class TrainingLock {
 public:
  explicit TrainingLock(Handle<T>& net, const void* who = nullptr)
      : net_(net), held_(who != nullptr && net.holder == who) {
    if (!held_ && net.training.exchange(true))
      throw std::runtime_error("the network is being trained");
  }
  ~TrainingLock() {
    if (!held_) net_.training = false;
  }
  TrainingLock(const TrainingLock&) = delete;
  TrainingLock& operator=(const TrainingLock&) = delete;

 private:
  Handle<T>& net_;
  const bool held_;  // from before
};

template <class T, class Method = Trainer<T>>
struct Training {
  py::object owner;  // keeps the network alive
  Handle<T>& net;
  Objective<T> objective;
  Method trainer;
};

// A matrix that the core can use where it lies, or a vector taken as one row.
template <class T>
struct Exact {
  T* data;
  std::ptrdiff_t rows, cols, ndim;

  std::ptrdiff_t size() const { return rows * cols; }
};

template <class T>
bool share_memory(const T* p, std::ptrdiff_t p_size, const T* q, std::ptrdiff_t q_size) {
  const std::less<const T*> before;
  return before(p, q + q_size) && before(q, p + p_size);
}

inline PyObject* ndarray_type = nullptr;  // set by add_fastcalls

// Whether `object` is a plain numpy.ndarray of T: native, aligned, contiguous, with elements and of
// one or two dimensions.
template <class T>
bool is_exact(PyObject* object, Exact<T>& x) {
  if (reinterpret_cast<PyObject*>(Py_TYPE(object)) != ndarray_type) return false;
  const auto array = py::reinterpret_borrow<py::array>(object);
  const py::dtype dtype = array.dtype();
  const std::ptrdiff_t ndim = array.ndim();
  if (dtype.num() != py::dtype::num_of<T>() || dtype.byteorder() != '=' ||
      (ndim != 1 && ndim != 2) || (array.flags() & py::array::c_style) == 0)
    return false;
  x = {static_cast<T*>(const_cast<void*>(array.data())), ndim == 1 ? 1 : array.shape()[0],
       array.shape()[ndim - 1], ndim};
  return x.size() > 0 && reinterpret_cast<std::uintptr_t>(x.data) % alignof(T) == 0;
}

template <class T>
bool all_finite(const Exact<T>& x) {
  return kernels<T>().finite(x.data, x.size());
}

// Giving the interpreter's lock away and asking for it back is worth while for longer work only.
constexpr double kLongWork = 2e5;  // flops, about 10 us

template <class Work>
bool run(double flops, const Work& work) {
  if (flops < kLongWork) return work();
  const py::gil_scoped_release release;
  return work();
}

// try_predict(X, out): out (a new array for None) filled, or None. X is (m, n_0) or (n_0,).
template <class T>
PyObject* try_predict(PyObject* self, PyObject* const* arguments, Py_ssize_t count) {
  try {
    const auto* net = py::cast<const Handle<T>*>(py::handle(self));
    Exact<T> X{}, out{};
    if (count != 2 || net == nullptr || !is_exact(arguments[0], X) || X.cols != net->n(0))
      Py_RETURN_NONE;
    const std::ptrdiff_t n_L = net->n(net->L());
    py::object answer;
    if (arguments[1] == Py_None) {
      answer = X.ndim == 1 ? py::array_t<T>(n_L) : py::array_t<T>({X.rows, n_L});
      out = {static_cast<py::array_t<T>&>(answer).mutable_data(), X.rows, n_L, X.ndim};
    } else {
      answer = py::reinterpret_borrow<py::object>(arguments[1]);
      if (!is_exact(arguments[1], out) || out.ndim != X.ndim || out.rows != X.rows ||
          out.cols != n_L || !py::reinterpret_borrow<py::array>(answer).writeable() ||
          share_memory(out.data, out.size(), X.data, X.size()) ||
          share_memory<T>(out.data, out.size(), net->theta.data(), net->theta.size()))
        Py_RETURN_NONE;
    }
    const bool done = run(net->flops(X.rows), [&] {
      if (!all_finite(X)) return false;
      predict(*net, X.data, X.rows, out.data);
      return all_finite(out);
    });
    if (done) return answer.release().ptr();
    Py_RETURN_NONE;
  } catch (const std::exception&) {
    Py_RETURN_NONE;  // the careful path meets it again, and tells
  }
}

// try_step(X, Y): the cost before the update, or None, and nothing has changed. X is (m, n_0), Y is
// (m, n_L), or (m,) for one column.
template <class T>
PyObject* try_step(PyObject* self, PyObject* const* arguments, Py_ssize_t count) {
  try {
    auto* training = py::cast<Training<T>*>(py::handle(self));
    Exact<T> X{}, Y{};
    if (count != 2 || training == nullptr || !is_exact(arguments[0], X) ||
        !is_exact(arguments[1], Y))
      Py_RETURN_NONE;
    Handle<T>& net = training->net;
    const std::ptrdiff_t n_Y = training->objective.targets(net.n(net.L()));
    if (Y.ndim == 1) Y = {Y.data, Y.cols, 1, 2};  // one column
    if (X.ndim != 2 || X.cols != net.n(0) || Y.cols != n_Y || X.rows != Y.rows ||
        share_memory<T>(X.data, X.size(), net.theta.data(), net.theta.size()) ||
        share_memory<T>(Y.data, Y.size(), net.theta.data(), net.theta.size()))
      Py_RETURN_NONE;
    double cost = 0;
    const bool done = run(3 * net.flops(X.rows), [&] {
      const TrainingLock<T> lock(net);
      cost = training->trainer.step({X.data, Y.data, X.rows, nullptr, &training->objective});
      return std::isfinite(cost);  // if not, the step has changed nothing
    });
    if (done) return PyFloat_FromDouble(cost);
    Py_RETURN_NONE;
  } catch (const std::exception&) {
    Py_RETURN_NONE;  // thrown before any change: the careful path meets it again, and tells
  }
}

// A method of a class that takes its arguments without pybind11's dispatch (about 0.3 us).
inline void add_fastcall(const py::object& cls, PyMethodDef& method) {
  cls.attr(method.ml_name) = py::reinterpret_steal<py::object>(
      PyDescr_NewMethod(reinterpret_cast<PyTypeObject*>(cls.ptr()), &method));
}

using Fastcall = PyObject* (*)(PyObject*, PyObject* const*, Py_ssize_t);

inline PyMethodDef fastcall(const char* name, Fastcall function) {
  const auto any = reinterpret_cast<void (*)()>(function);  // its flags say what it is
  return {name, reinterpret_cast<PyCFunction>(any), METH_FASTCALL, nullptr};
}

template <class T>
void add_fastcalls(const py::object& network, const py::object& trainer) {
  ndarray_type = py::object(py::module_::import("numpy").attr("ndarray")).release().ptr();
  static PyMethodDef predict_method = fastcall("try_predict", try_predict<T>);
  static PyMethodDef step_method = fastcall("try_step", try_step<T>);
  add_fastcall(network, predict_method);
  add_fastcall(trainer, step_method);
}

}  // namespace chainrule
