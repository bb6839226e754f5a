"""No passing by skipping: with `LORGNETTE_REQUIRE_ALL=1` a skipped test fails, as .ci/run demands.

A newcomer without a cross compiler sees skips with their reasons; the machine that gates a change installs every tool,
so there a skip means that something was not checked. Two things stay allowed: tests marked `corpus`, whose recordings
are not in the repository, and expected failures, which did run.
"""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest

REQUIRE_ALL = "LORGNETTE_REQUIRE_ALL"


def require_all() -> bool:
    """True where every test has to run."""
    return os.environ.get(REQUIRE_ALL) == "1"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    expected_failure = hasattr(report, "wasxfail")
    if require_all() and report.skipped and not expected_failure and item.get_closest_marker("corpus") is None:
        report.outcome = "failed"
        report.longrepr = f"skipped, but {REQUIRE_ALL}=1 requires it to run: {_reason(report.longrepr)}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if require_all() and report.skipped:  # a whole module: its marks were never read, so none can excuse it
        report.outcome = "failed"
        report.longrepr = f"module skipped, but {REQUIRE_ALL}=1 requires it to run: {_reason(report.longrepr)}"
    return report


def _reason(longrepr: object) -> str:
    """The skip's own words out of pytest's (path, line, reason)."""
    reason = longrepr[2] if isinstance(longrepr, tuple) else longrepr
    return str(reason).removeprefix("Skipped: ")
