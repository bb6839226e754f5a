"""The skip policy, run on small sessions of pytest's own: a gate that cannot fail would let anything pass."""

from __future__ import annotations

import pytest

from tests.support.require import REQUIRE_ALL

pytest_plugins = ["pytester"]

TESTS = """
    import pytest

    def test_passes():
        pass

    def test_skips():
        pytest.skip("no cross compiler")

    @pytest.mark.skip(reason="not today")
    def test_marked_skip():
        pass

    @pytest.mark.corpus
    def test_recordings():
        pytest.skip("no recordings")

    @pytest.mark.xfail(strict=True)
    def test_known_limit():
        assert False
"""
MARKERS = "[pytest]\nmarkers = corpus: recordings\n"


@pytest.fixture
def session(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makeconftest("from tests.support.require import pytest_make_collect_report, pytest_runtest_makereport")
    pytester.makeini(MARKERS)
    return pytester


def test_a_newcomer_sees_skips(session: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(REQUIRE_ALL, raising=False)
    session.makepyfile(TESTS)
    session.runpytest_inprocess().assert_outcomes(passed=1, skipped=3, xfailed=1)


def test_the_gate_fails_on_a_skip_but_not_for_recordings(
    session: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(REQUIRE_ALL, "1")
    session.makepyfile(TESTS)
    result = session.runpytest_inprocess()
    failed_in_setup = 1  # a skip mark ends a test before its call
    result.assert_outcomes(passed=1, failed=1, errors=failed_in_setup, skipped=1, xfailed=1)
    result.stdout.fnmatch_lines(["*LORGNETTE_REQUIRE_ALL=1 requires it to run: no cross compiler*"])


def test_the_gate_fails_on_a_skipped_module(session: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(REQUIRE_ALL, "1")
    session.makepyfile("import pytest\npytest.skip('no emulator', allow_module_level=True)")
    result = session.runpytest_inprocess()
    assert result.ret != pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*requires it to run: no emulator*"])
