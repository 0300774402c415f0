"""pytest plugin: the fixture `duplex`, and a folder for what failed.

Every pytest run of an environment loads this, so nothing heavy is imported before it is used.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from agent.agent import Agent
    from agent.eval.bench import Outcome
    from agent.eval.text import TextCall


def pytest_addoption(parser: pytest.Parser) -> None:
    """Offer a folder for reports."""
    group = parser.getgroup("duplex")
    group.addoption(
        "--duplex-reports",
        type=Path,
        metavar="FOLDER",
        help="write the HTML report of every scenario that is run",
    )


class Duplex:
    """What the fixture `duplex` offers.

    Args:
        reports: Where reports go; None for nowhere.
        test: Name of the test, for the file.
    """

    def __init__(self, reports: Path | None, test: str) -> None:
        self._reports = reports
        self._test = test
        self._held = 0

    def text(self, agent: "Agent", says: Sequence[Any] = (), **options: Any) -> "TextCall":
        """Hold a typed conversation; see `agent.eval.text.TextCall`."""
        from agent.eval.text import TextCall

        return TextCall(agent, says, **options)

    def scenario(self, scenario: Any, **options: Any) -> "Outcome":
        """Hold a spoken conversation on virtual time; see `agent.eval.bench.hold`.

        Args:
            scenario: A YAML file, its values, or a `Scenario`.
            options: Of `hold`.
        """
        from agent.eval.bench import hold
        from agent.eval.report import page

        outcome = hold(scenario, **options)
        if self._reports:
            self._held += 1
            self._reports.mkdir(parents=True, exist_ok=True)
            path = self._reports / f"{self._test}-{self._held}.html"
            path.write_text(page([outcome]), encoding="utf-8")
        return outcome


@pytest.fixture
def duplex(request: pytest.FixtureRequest) -> Duplex:
    """Conversations with agents."""
    reports: Callable[..., Any] = request.config.getoption
    name = "".join(c if c.isalnum() or c in "-_" else "-" for c in request.node.name)
    return Duplex(reports("--duplex-reports"), name)
