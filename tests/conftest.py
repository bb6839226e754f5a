"""Fixtures that every test may use.

One contract, five frames: every test that takes `host` or `make_frame` runs on all builds of the frame.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from lorgnette.firmware_bridge.simulator import Peripherals, SteppedFrame, core

from .support.frame_builds import BUILDS, FrameFactory, frame_factory
from .support.raw_host import RawHost

# A loaded machine must not fail a test: no example is measured by the wall clock.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

pytest_plugins = ["tests.support.require"]


@pytest.fixture(scope="session", params=["cffi", *(pytest.param(kind, marks=pytest.mark.cross) for kind in BUILDS)])
def frame_build(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> FrameFactory:
    """One of the builds of the frame."""
    return frame_factory(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture
def make_frame(frame_build: FrameFactory) -> Iterator[FrameFactory]:
    """Makes frames with peripherals; closing them at the end fails on a sanitizer's report."""
    made: list[SteppedFrame] = []

    def make(peripherals: Peripherals) -> SteppedFrame:
        made.append(frame_build(peripherals))
        return made[-1]

    yield make
    for frame in made:
        frame.close()


@pytest.fixture
def peripherals() -> Peripherals:
    return Peripherals()


@pytest.fixture
def host(make_frame: FrameFactory, peripherals: Peripherals) -> RawHost:
    """A raw host on a frame with `peripherals`, not yet connected."""
    return RawHost(make_frame(peripherals))


@pytest.fixture(scope="session")
def native() -> Any:
    """The compiled core's (lib, ffi)."""
    if core.CORE_MISSING:
        pytest.skip("the C core is not built (python setup.py build_ext --inplace)")
    from lorgnette.firmware_bridge import _core

    return _core.lib, _core.ffi
