"""A spoken conversation, written down: who says what when, what goes wrong, what must hold.

The same object from YAML and from Python. An unknown key is refused with its line and the nearest
right one, as in an agent's own file.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from agent import document
from agent.errors import SettingsError
from agent.settings import Settings

_MANNERS = ("say", "dictate", "backchannel", "wav", "sound", "silence_s")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Line(_Part):
    """One thing the caller does. Without a moment it waits until the agent has answered."""

    say: str | None = None
    """Spoken in the caller's voice. A number in brackets is a pause: "a table for [1.2] four"."""
    dictate: str | None = None
    """Read out digit by digit, a pause between groups: "555 123 4567"."""
    backchannel: str | None = None
    """A word over the agent that leaves it the floor: "mhm"."""
    wav: Path | None = None
    """A recording, any rate; what is said in it stands in `text`."""
    sound: Literal["cough", "knock"] | None = None
    silence_s: float | None = Field(None, gt=0, le=120)
    """Wait, whatever the agent does."""
    text: str = ""

    at_word: str | None = None
    """Begin as soon as the agent is heard to say this: an interruption."""
    over_s: float | None = Field(None, ge=0)
    """Begin so long after the agent has begun to speak."""
    quiet_s: float = Field(0.8, ge=0)
    """Rest after the agent's answer before this is said."""
    level_db: float = Field(0.0, ge=-60, le=12)
    """Louder or quieter than the caller's other lines."""
    group_pause_s: float = Field(0.7, ge=0)
    """Between the groups of what is dictated."""

    wants_answer: bool | None = None
    """Whether the agent should speak next. Unset: after what is said, dictated, or recorded with a
    text."""
    answer: str | None = None
    """A regular expression the answer must contain, without regard to case."""
    tool: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Tools that must be called in answer, with these arguments among theirs."""

    @model_validator(mode="after")
    def _is_one_thing(self) -> "Line":
        given = [name for name in _MANNERS if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"a line needs one of {', '.join(_MANNERS)}; it has {len(given)}")
        if self.at_word is not None and self.over_s is not None:
            raise ValueError("a line begins at_word or over_s, not both")
        return self

    @property
    def manner(self) -> str:
        """Which of the things a caller can do this is."""
        return next(name for name in _MANNERS if getattr(self, name) is not None)

    @property
    def is_turn(self) -> bool:
        """Whether the agent should answer."""
        if self.wants_answer is not None:
            return self.wants_answer
        return self.manner in ("say", "dictate") or (self.manner == "wav" and bool(self.text))


class CallerPart(_Part):
    """How the caller sounds."""

    voice: str = "kokoro-student:af_heart"
    """Any of the names models.tts takes, such as kokoro-full:am_michael."""
    level_dbfs: float = Field(-20.0, ge=-60, le=-6)
    """Of the speech, root mean square."""
    room_dbfs: float = Field(-78.0, ge=-96, le=-20)
    """Of the room's noise: digital silence is nothing a microphone gives."""


class NoiseFault(_Part):
    """Noise in the caller's room, all the time."""

    snr_db: float = Field(ge=-10, le=60)
    """Below the caller's speech."""
    kind: Literal["white", "pink", "babble"] = "pink"
    wav: Path | None = None
    """A recording of it, repeated."""


class EchoFault(_Part):
    """The agent's voice comes back through the caller's microphone."""

    level_db: float = Field(-20.0, ge=-60, le=0)
    delay_s: float = Field(0.12, ge=0.04, le=1)


class NetworkFault(_Part):
    """What becomes of the caller's packets of 20 ms. They are mended as our receivers do it."""

    loss: float = Field(0.0, ge=0, le=0.5)
    delay_s: float = Field(0.04, ge=0, le=1)
    jitter_s: float = Field(0.0, ge=0, le=0.5)


class StageFault(_Part):
    """A model that takes longer, or fails."""

    slow_s: float = Field(0.0, ge=0, le=60)
    """Added to each piece of its work that gives something."""
    dead: bool = False


class Faults(_Part):
    """What goes wrong. All of it may, at once."""

    noise: NoiseFault | None = None
    echo: EchoFault | None = None
    network: NetworkFault | None = None
    telephone: bool = False
    """8 kHz and mu-law, both ways."""
    recogniser: StageFault | None = None
    model: StageFault | None = None
    voice: StageFault | None = None


class Limits(_Part):
    """What the score may not exceed; null switches one off. Seconds, counts, shares."""

    voice_to_voice_p50_s: float | None = None
    voice_to_voice_p90_s: float | None = None
    stop_p90_s: float | None = None
    resume_p90_s: float | None = None
    wer: float | None = None
    context_errors: int | None = None
    cut_offs: int | None = 0
    false_barge_ins: int | None = 0
    ghost_turns: int | None = 0
    unanswered: int | None = 0
    unsaid: int | None = 0
    """Lines whose moment never came."""


class JudgePart(_Part):
    """A language model that reads the conversation and says whether it was good."""

    url: str
    """Of an OpenAI-compatible server, such as http://127.0.0.1:11434/v1."""
    model: str
    key: SecretStr | None = None
    criteria: tuple[str, ...] = Field(min_length=1)
    """Sentences that must be true of the conversation."""


class Scenario(_Part):
    """A spoken conversation."""

    name: str = "scenario"
    settings: Settings = Settings()
    """The agent and every knob, as in its own file."""
    agent_file: Path | None = None
    """The agent's own file, in the place of `settings`."""
    greet: bool = False
    """Whether the agent speaks first."""
    caller: CallerPart = CallerPart()
    script: tuple[Line, ...] = Field(min_length=1)
    faults: Faults = Faults()
    limits: Limits = Limits()
    judge: JudgePart | None = None
    seed: int = 1
    """Of noise, packet loss and the language model."""


def load(path: Path, environ: Mapping[str, str] | None = None) -> Scenario:
    """Read a scenario; files it names lie beside it.

    Raises:
        SettingsError: Something is wrong; the message says where.
    """
    return made(document.read(path), path.parent, os.environ if environ is None else environ)


def made(
    told: document.Document | Mapping[str, Any],
    folder: Path = Path(),
    environ: Mapping[str, str] | None = None,
) -> Scenario:
    """Make a scenario of what a file says, or of plain values.

    Raises:
        SettingsError: As for `load`.
    """
    file = told if isinstance(told, document.Document) else document.Document(dict(told))
    values = file.filled(Scenario, os.environ if environ is None else environ)
    try:
        scenario = Scenario.model_validate(values)
    except ValidationError as error:
        raise SettingsError(document.explain(error, file, Scenario)) from None
    return _beside(scenario, folder)


def _beside(scenario: Scenario, folder: Path) -> Scenario:
    """Look for the files that are named where the scenario lies."""
    script = []
    for line in scenario.script:
        if line.wav:
            line = line.model_copy(update={"wav": folder / line.wav})
        script.append(line)
    changes: dict[str, Any] = {"script": tuple(script)}
    noise = scenario.faults.noise
    if noise and noise.wav:
        noise = noise.model_copy(update={"wav": folder / noise.wav})
        changes["faults"] = scenario.faults.model_copy(update={"noise": noise})
    if scenario.agent_file:
        from agent.settings import load as load_settings

        changes["settings"] = load_settings(folder / scenario.agent_file)
    return scenario.model_copy(update=changes)
