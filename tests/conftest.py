"""What all tests share."""

import os
import sys

import pytest
from loguru import logger

pytest_plugins = ["agent.eval.plugin"]
"""Named here too: an editable install from before an entry point was added does not know it."""

logger.remove()
logger.add(sys.stderr, level="WARNING")

SKIPS_ALLOWED_IN_CI = ("only for ", "needs a sound card")
"""Reasons that hold on the CI machine too. Any other skip there is a part that did not run."""


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI, a part that should have run and was skipped is a failure."""
    if not os.environ.get("CI"):
        return
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []
    bad = [report for report in skipped if not _is_allowed(report)]
    for report in bad:
        print(f"\nskipped in CI, which counts as failed: {report.nodeid}: {report.longrepr}")
    if bad:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _is_allowed(report: pytest.TestReport) -> bool:
    reason = str(report.longrepr)
    return any(words in reason for words in SKIPS_ALLOWED_IN_CI)
