"""Fixtures for all tests: both number types, every instruction set, and nothing-has-changed."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, settings

import chainrule as cr

# On a build machine a failing example must come back in the next run.
settings.register_profile(
    "ci",
    derandomize=True,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("here", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") == "true" else "here")

# A shell ignores Ctrl-C for what it starts in the background; tests that send one would never end.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    return request.param


@pytest.fixture(params=["baseline", "avx2", "avx512"])
def isa(request):
    """Each instruction set in turn; the ones that this machine lacks are reported as skipped."""
    before = cr.info()["isa"]
    try:
        cr.set_isa(request.param)
    except ValueError as error:
        pytest.skip(str(error))
    assert cr.info()["isa"] == request.param
    yield request.param
    cr.set_isa(before)


@pytest.fixture
def unchanged():
    """`with unchanged(net): ...` fails when the block changes a bit of the network."""

    @contextmanager
    def guard(net):
        theta, scaling, metadata = net.theta.tobytes(), net.scaling, dict(net.metadata)
        yield
        assert net.theta.tobytes() == theta
        assert net.scaling is scaling
        assert net.metadata == metadata

    return guard
