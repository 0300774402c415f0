"""A planted GPL part is found, wherever it says so; what may stay is left alone."""

from pathlib import Path

import pytest

from agent.models import licences
from agent.models.licence_terms import is_refused, refused_text

GPL_TEXT = "                    GNU GENERAL PUBLIC LICENSE\n      Version 3, 29 June 2007\n"


@pytest.mark.parametrize(
    "expression",
    [
        "GPL-3.0-only",
        "GPL-2.0-or-later",
        "AGPL-3.0",
        "GPLv3",
        "GNU GPL",
        "MIT AND GPL-2.0-only",
        "(MIT OR Apache-2.0) AND AGPL-3.0-only",
        "GNU General Public License v3 (GPLv3)",
        "GNU Affero General Public License v3",
        "CC-BY-NC-4.0",
        "CC BY-NC-SA 4.0",
        "Free for non-commercial use",
        "SSPL-1.0",
        "BUSL-1.1",
    ],
)
def test_refused(expression: str) -> None:
    assert is_refused(expression)


@pytest.mark.parametrize(
    "expression",
    [
        "MIT",
        "Apache 2.0",
        "LGPL",
        "LGPL-2.1-or-later",
        "GNU Library or Lesser General Public License (LGPL)",
        "GNU Lesser General Public License v3 (LGPLv3)",
        "MIT OR GPL-2.0-only",
        "GPL-2.0-only OR MIT",
        "(GPL-2.0-only OR BSD-3-Clause) AND MIT",
        "GPL-3.0-or-later WITH GCC-exception-3.1",
        "BSD-2-Clause AND Apache-2.0 WITH LLVM-exception",
        "MPL-2.0 AND MIT",
        "BSL-1.0",  # Boost's, not the Business Source Licence.
    ],
)
def test_not_refused(expression: str) -> None:
    assert not is_refused(expression)


def test_a_text_is_known_by_its_beginning() -> None:
    assert refused_text(GPL_TEXT)
    assert not refused_text("GNU LESSER GENERAL PUBLIC LICENSE\nsupplements the GNU General Public")
    assert not refused_text("MIT License\n" + "x " * 1000 + GPL_TEXT)


class Planter:
    """Installs made-up distributions where importlib.metadata finds them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def plant(self, name: str, metadata: str = "", files: dict[str, bytes] | None = None) -> None:
        info = self._folder / f"{name.replace('-', '_')}-1.0.dist-info"
        info.mkdir()
        head = f"Metadata-Version: 2.4\nName: {name}\nVersion: 1.0\n"
        (info / "METADATA").write_text(head + metadata)
        listed = [f"{info.name}/METADATA,,"]
        for path, data in (files or {}).items():
            target = self._folder / path.replace("INFO", info.name)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
            listed.append(f"{target.relative_to(self._folder)},,")
        (info / "RECORD").write_text("\n".join(listed))


@pytest.fixture
def planter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Planter:
    monkeypatch.syspath_prepend(tmp_path)
    planter = Planter(tmp_path)
    root = "License-Expression: MIT\nRequires-Dist: middle\nRequires-Dist: side; extra == 'more'\n"
    planter.plant("root", root)
    # The culprit hides one step further down than anybody looks.
    planter.plant("middle", "License-Expression: MIT\nRequires-Dist: culprit>=1\n")
    return planter


@pytest.mark.parametrize(
    ("metadata", "files", "said"),
    [
        ("License-Expression: GPL-3.0-or-later\n", {}, "states 'GPL-3.0-or-later'"),
        ("License: GPLv3\n", {}, "states 'GPLv3'"),
        (
            "License: MIT\nClassifier: License :: OSI Approved :: "
            "GNU Affero General Public License v3\n",
            {},
            "Affero",
        ),
        ("License: MIT\n", {"INFO/licenses/COPYING": GPL_TEXT.encode()}, "COPYING is"),
        ("License: CC-BY-NC-4.0\n", {}, "CC-BY-NC"),
        ("", {}, "states no licence"),
        ("License: BSD\n", {"culprit.libs/libx264-d6533a8d.so.165": b"\x7fELF"}, "library x264"),
        ("License: BSD\n", {"culprit/libespeak-ng.so.1": b"\x7fELF"}, "library espeak"),
        ("License: BSD\n", {"culprit/librubberband.dylib": b"\x7fELF"}, "rubberband"),
        (
            "License: BSD\n",
            {"culprit/core.so": b"\x7fELF" + b"\0" * 9000 + b"--enable-gpl --enable-libx264"},
            "--enable-gpl",
        ),
    ],
)
def test_a_planted_part_fails_the_check(
    planter: Planter,
    capsys: pytest.CaptureFixture[str],
    metadata: str,
    files: dict[str, bytes],
    said: str,
) -> None:
    planter.plant("culprit", metadata, files)
    assert licences.main([], root="root") == 1
    output = capsys.readouterr().out
    assert "REFUSED culprit 1.0" in output
    assert said in output
    assert output.count("REFUSED") == 1


@pytest.mark.parametrize(
    ("metadata", "files"),
    [
        ("License-Expression: MIT\n", {"INFO/LICENSE": b"MIT License"}),
        # The LGPL is published as an addition to the GPL, so both texts come with it.
        ("License-Expression: LGPL-3.0-only\n", {"INFO/licenses/COPYING": GPL_TEXT.encode()}),
        ("License-Expression: MIT OR GPL-2.0-only\n", {"INFO/LICENSE.GPL": GPL_TEXT.encode()}),
        ("License: BSD\n", {"culprit.libs/libspeexdsp.so.1": b"\x7fELF"}),
    ],
)
def test_what_may_stay_passes(planter: Planter, metadata: str, files: dict[str, bytes]) -> None:
    planter.plant("culprit", metadata, files)
    assert licences.main([], root="root") == 0


def test_a_requirement_that_is_not_installed_cannot_pass(
    planter: Planter, capsys: pytest.CaptureFixture[str]
) -> None:
    assert licences.main([], root="root") == 1
    assert "not installed" in capsys.readouterr().out


def test_an_extra_is_outside_the_default_and_can_be_shown(
    planter: Planter, capsys: pytest.CaptureFixture[str]
) -> None:
    planter.plant("culprit", "License-Expression: MIT\n")
    planter.plant("side", "License-Expression: GPL-3.0-only\n")
    assert licences.main([], root="root") == 0
    assert "side" not in capsys.readouterr().out
    assert licences.main(["--extra", "more"], root="root") == 0
    shown = capsys.readouterr().out
    assert "because of: side" in shown
    assert "middle" not in shown


def test_the_default_install_is_clean(capsys: pytest.CaptureFixture[str]) -> None:
    assert licences.main([]) == 0, capsys.readouterr().out
