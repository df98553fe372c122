"""Dense, SGD and the plain arguments: what is accepted, what is refused and in which words."""

from __future__ import annotations

import math
import pickle
from dataclasses import FrozenInstanceError
from fractions import Fraction

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import one_of, whole_number
from chainrule.layers import ACTIVATIONS
from chainrule.losses import LOSSES

NOT_WHOLE = [True, np.True_, 1.0, 1.5, "3", None, [3], np.float64(2), np.array([1, 2])]


def test_dense_is_plain_data():
    layer = cr.Dense(64, "relu")
    assert (layer.units, layer.activation) == (64, "relu")
    assert layer == cr.Dense(units=64, activation="relu") != cr.Dense(64)
    assert repr(layer) == "Dense(units=64, activation='relu')"
    assert cr.Dense(3).activation == "identity"
    assert hash(layer) == hash(cr.Dense(64, "relu"))
    with pytest.raises(FrozenInstanceError):
        layer.units = 3


def test_activations_are_those_of_the_reference_and_the_core():
    assert set(ACTIVATIONS) == set(cr.reference.ACTIVATIONS)
    for name in ACTIVATIONS:
        assert cr.Network([cr.Dense(1, name)], n_inputs=1).layers[0].activation == name


@pytest.mark.parametrize("units", NOT_WHOLE)
def test_units_of_another_type(units):
    with pytest.raises(TypeError, match="units must be a whole number"):
        cr.Dense(units)


@pytest.mark.parametrize("units", [0, -1, -(2**70), 2**31, 2**61])
def test_units_out_of_range(units):
    with pytest.raises(ValueError, match=f"units must be at .*, got {units}"):
        cr.Dense(units)


@pytest.mark.parametrize("units", [2**62, 2**63, 2**100])
def test_units_that_no_layout_can_count(units):
    with pytest.raises(OverflowError, match="units must be"):
        cr.Dense(units)


@pytest.mark.parametrize("units", [np.int32(7), np.uint8(7), np.array(7)])
def test_units_of_numpy_become_int(units):
    assert type(cr.Dense(units).units) is int
    assert cr.Dense(units) == cr.Dense(7)


def test_unknown_activation_lists_the_known():
    with pytest.raises(ValueError, match=r"activation must be one of identity, relu.*'swish'"):
        cr.Dense(3, "swish")
    with pytest.raises(TypeError, match="activation must be a str"):
        cr.Dense(3, np.tanh)


def test_sgd_is_plain_data():
    assert cr.SGD() == cr.SGD(0.01, 0.0) == cr.SGD(learning_rate=0.01, momentum=0)
    assert repr(cr.SGD(0.1, momentum=0.9)) == "SGD(learning_rate=0.1, momentum=0.9)"
    for value in (1, np.float32(1), np.int64(1), Fraction(1)):
        assert type(cr.SGD(value).learning_rate) is float
        assert cr.SGD(value) == cr.SGD(1.0)
    with pytest.raises(FrozenInstanceError):
        cr.SGD().momentum = 0.5


@pytest.mark.parametrize("rate", [0, 0.0, -0.0, -1e-300, math.nan, math.inf, -math.inf, 10**400])
def test_learning_rate_out_of_range(rate):
    with pytest.raises(ValueError, match="learning_rate must be above 0 and finite"):
        cr.SGD(rate)


@pytest.mark.parametrize("momentum", [-0.1, 1, 1.5, math.nan, math.inf])
def test_momentum_out_of_range(momentum):
    with pytest.raises(ValueError, match=r"momentum must be in \[0, 1\)"):
        cr.SGD(0.1, momentum)


@pytest.mark.parametrize("value", ["0.1", True, None, 1j, [0.1], np.array([0.1])])
def test_numbers_of_sgd_of_another_type(value):
    with pytest.raises(TypeError, match="learning_rate must be a real number"):
        cr.SGD(value)
    with pytest.raises(TypeError, match="momentum must be a real number"):
        cr.SGD(0.1, value)


@pytest.mark.parametrize("value", NOT_WHOLE)
def test_whole_number_refuses(value):
    with pytest.raises(TypeError, match="k must be a whole number"):
        whole_number(value, "k")


def test_whole_number_limits():
    assert whole_number(1, "k") == 1
    assert whole_number(2**63 - 1, "k") == 2**63 - 1
    assert whole_number(0, "k", least=0) == 0
    with pytest.raises(ValueError, match="k must be at least 1, got 0"):
        whole_number(0, "k")
    with pytest.raises(ValueError, match="k must be at most 9, got 10"):
        whole_number(10, "k", most=9)
    with pytest.raises(OverflowError, match=r"k must be below 2\*\*63"):
        whole_number(2**63, "k", most=9)


def test_one_of():
    assert one_of("a", "k", ["a", "b"]) == "a"
    with pytest.raises(ValueError, match="k must be one of a, b; got 'c'"):
        one_of("c", "k", iter(["a", "b"]))
    with pytest.raises(TypeError, match=r"k must be a str, one of a, b; got 3 \(int\)"):
        one_of(3, "k", ["a", "b"])


def test_losses():
    assert list(LOSSES) == [loss.name for loss in LOSSES.values()]
    assert {"mse", "mae", "cross_entropy"} < set(LOSSES)
    assert LOSSES["mse"] == cr.MSE("mean")


def test_errors_are_also_the_built_in_ones():
    assert issubclass(cr.FormatError, ValueError)
    assert issubclass(cr.DivergedError, ArithmeticError)
    error = pickle.loads(pickle.dumps(cr.DivergedError("text", epoch=3, cost=0.5)))
    assert (str(error), error.epoch, error.step, error.cost) == ("text", 3, None, 0.5)
    assert math.isnan(cr.DivergedError("text").cost)


def test_threads_are_set_and_refused():
    before = cr.get_num_threads()
    try:
        for k in (1, 2, 64):
            cr.set_num_threads(k)
            assert cr.get_num_threads() == k == cr.info()["threads"]
        for k in (0, -1, 1025, 2**31):
            with pytest.raises(ValueError, match="k must be at"):
                cr.set_num_threads(k)
        for k in (True, 1.5, "2", None):
            with pytest.raises(TypeError, match="k must be a whole number"):
                cr.set_num_threads(k)
        with pytest.raises(OverflowError, match="k must be below"):
            cr.set_num_threads(2**63)
        assert cr.get_num_threads() == 64
    finally:
        cr.set_num_threads(before)


def test_isa_is_set(isa):
    assert cr.info()["isa"] == isa
    assert isa in cr.info()["isas_detected"]


def test_isa_that_is_not_there_lists_what_is():
    before = cr.info()["isa"]
    with pytest.raises(ValueError, match=r"(?s)baseline.*altivec"):
        cr.set_isa("altivec")
    with pytest.raises(TypeError, match="name must be a str"):
        cr.set_isa(2)
    assert cr.info()["isa"] == before


def test_info_prints_as_a_table():
    info = cr.info()
    lines = str(info).splitlines()
    assert len(lines) == len(info)
    assert lines[0].split() == ["version", cr.__version__]
    for key in ("isas_built", "isas_detected", "isa", "threads", "compiler", "python", "numpy"):
        assert sum(line.startswith(f"{key} ") for line in lines) == 1
    assert set(info["isas_detected"]) <= set(info["isas_built"])
