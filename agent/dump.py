"""A conversation kept on disk: what arrived and when, and every decision. Only with consent.

A dump is a folder: `about.json`, `caller.wav` as it arrived, `arrivals.jsonl` with the time of each
packet and of what the client reported, `evidence.jsonl` with all the policy was told and decided.
While a secret is asked for, silence is kept and no evidence.
"""

import asyncio
import json
import shutil
import uuid
import wave
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from loguru import logger
from pipecat.frames.frames import Frame, InputAudioRawFrame, InputTransportMessageFrame
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from agent import document
from agent.agent import Agent
from agent.audio.chunk import Int16Array
from agent.conversation import Conversation
from agent.errors import SettingsError
from agent.flow import Flow, HandOver
from agent.processors.frames import ExpectationFrame
from agent.session import Channel, Models
from agent.settings import RecordSettings, Settings
from agent.stage import Stage
from agent.turns.events import TurnPolicy
from agent.turns.journal import JournalledPolicy

Edit = Callable[[list[FrameProcessor]], list[FrameProcessor]]

_FORMAT = 1
_MOST_WAITING = 600 * 50
"""Lines kept in memory before there is consent: some minutes. After that nothing is kept."""


_FLUSH_AT = 500
"""Entries that are written at once: ten seconds of packets."""


class Dump:
    """One conversation's dump. Nothing is written before there is consent."""

    def __init__(self, settings: Settings, about: dict[str, Any]) -> None:
        """Begin to listen.

        Args:
            settings: Every knob; secrets are kept as references.
            about: What else is worth knowing: channel, its rate, models.
        """
        assert settings.record.folder
        self._record: RecordSettings = settings.record
        now = datetime.now(UTC)
        name = f"{now:%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}"
        self.folder = settings.record.folder / name
        self._about = {
            "format": _FORMAT,
            "began": now.isoformat(timespec="seconds"),
            **about,
            "settings": document.write(settings),
        }
        self.is_secret = False
        """Whether what is said now is kept nowhere."""
        self._rate: int | None = None
        self._audio: list[bytes] = []
        self._arrivals: list[str] = []
        self._evidence: list[str] = []
        self._files: _Files | None = None
        self._consent: bool | None = True if settings.record.consent == "told" else None

    def models(self, models: Models) -> Models:
        """Return models whose policy is written down."""
        make = models.policy

        def policy() -> TurnPolicy:
            return JournalledPolicy(make(), self._decided)

        return replace(models, policy=policy)

    def editing(self, edit: Edit) -> Edit:
        """Return an edit of the pipeline that also puts the recorder where audio arrives."""

        def both(stages: list[FrameProcessor]) -> list[FrameProcessor]:
            source, *others = edit(stages)
            return [source, _Arrivals(self), *others]

        return both

    def asking(self, agent: Agent) -> Agent:
        """Return an agent that first asks whether the conversation may be kept."""
        if self._consent is not None:
            return agent
        flow: Flow[Any] = Flow()

        @flow.step
        async def ask(call: Conversation[Any]) -> HandOver:
            self.consent(await call.confirm(self._record.question))
            return HandOver(agent)

        return Agent(agent.instructions, name=agent.name, flow=flow)

    def consent(self, is_given: bool) -> None:
        """The caller has said yes or no; the last word counts."""
        self._consent = is_given
        if not is_given:
            self._forget()
            with suppress(FileNotFoundError):
                shutil.rmtree(self.folder)

    def arrived(self, at_s: float, what: InputAudioRawFrame | dict[str, Any]) -> None:
        """Keep what came from the client."""
        if isinstance(what, dict):
            if what.get("type") == "consent":
                self.consent(what.get("record") is True)
            entry: dict[str, Any] = {"at_s": round(at_s, 4), "message": what}
        else:
            self._rate = self._rate or what.sample_rate
            entry = {"at_s": round(at_s, 4), "bytes": len(what.audio)}
            self._keep(self._audio, bytes(len(what.audio)) if self.is_secret else what.audio)
        self._keep(self._arrivals, json.dumps(entry, ensure_ascii=False, default=str))

    def close(self) -> None:
        """Write what is left, if there is consent."""
        if self._consent:
            self._flush()
        self._forget()

    def _flush(self) -> None:
        """Write what has gathered in memory."""
        if self._rate is None:
            return
        if self._files is None:
            self._files = _Files(self.folder, self._about, self._rate)
            logger.info("the conversation is kept in {}", self.folder)
        self._files.add(self._audio, self._arrivals, self._evidence)
        for kept in (self._audio, self._arrivals, self._evidence):
            kept.clear()

    def _decided(self, line: str) -> None:
        if not self.is_secret:
            self._keep(self._evidence, line)

    def _keep(self, where: list[Any], what: Any) -> None:
        if self._consent is False:
            return
        if self._consent is None and len(where) > _MOST_WAITING:
            logger.info("nobody has agreed to a recording: it is forgotten")
            self.consent(False)
            return
        where.append(what)
        if self._consent and len(where) >= _FLUSH_AT:
            self._flush()

    def _forget(self) -> None:
        for kept in (self._audio, self._arrivals, self._evidence):
            kept.clear()
        if self._files:
            self._files.close()
            self._files = None


def dumping(settings: Settings, channel: Channel, models: dict[str, str]) -> Dump | None:
    """What keeps a conversation over `channel`, where that is wanted.

    Args:
        settings: Every knob.
        channel: Of the conversation.
        models: Names by role.
    """
    if settings.record.folder is None:
        return None
    return Dump(
        settings, {"channel": channel.name, "models": models, "channel_rate": channel.sample_rate}
    )


class _Files:
    """The open files of a dump."""

    def __init__(self, folder: Path, about: dict[str, Any], rate: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)  # What people said is nobody else's business.
        text = json.dumps(about, ensure_ascii=False, indent=2)
        (folder / "about.json").write_text(text, encoding="utf-8")
        self._arrivals = (folder / "arrivals.jsonl").open("w", encoding="utf-8")
        self._evidence = (folder / "evidence.jsonl").open("w", encoding="utf-8")
        self._sound = wave.open(str(folder / "caller.wav"), "wb")  # noqa: SIM115
        self._sound.setnchannels(1)
        self._sound.setsampwidth(2)
        self._sound.setframerate(rate)

    def add(self, audio: list[bytes], arrivals: list[str], evidence: list[str]) -> None:
        self._sound.writeframes(b"".join(audio))
        self._arrivals.writelines(f"{line}\n" for line in arrivals)
        self._evidence.writelines(f"{line}\n" for line in evidence)

    def close(self) -> None:
        for file in (self._sound, self._arrivals, self._evidence):
            file.close()


class _Arrivals(Stage):
    """Stands behind the transport and tells the dump what comes."""

    def __init__(self, dump: Dump) -> None:
        super().__init__()
        self._dump = dump
        self._origin_s: float | None = None

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Note what arrives; pass everything on."""
        await super().process_frame(frame, direction)
        now_s = asyncio.get_running_loop().time()
        if self._origin_s is None:
            self._origin_s = now_s
        if isinstance(frame, InputAudioRawFrame):
            self._dump.arrived(now_s - self._origin_s, frame)
        elif isinstance(frame, InputTransportMessageFrame) and isinstance(frame.message, dict):
            self._dump.arrived(now_s - self._origin_s, frame.message)
        elif isinstance(frame, ExpectationFrame):
            self._dump.is_secret = frame.secret
        await self.push_frame(frame, direction)


@dataclass(frozen=True, slots=True)
class Kept:
    """A dump, read back.

    Attributes:
        settings: As they were; secrets stay references.
        about: The rest of what was noted.
        sample_rate: Of the caller's audio, in Hz.
        arrivals: Audio, shape (n,), int16, or a client's message, each with its second.
        evidence: Lines of the journal.
    """

    settings: Settings
    about: dict[str, Any]
    sample_rate: int
    arrivals: list[tuple[float, Int16Array | dict[str, Any]]]
    evidence: list[str]


def is_dump(path: Path) -> bool:
    """Whether a path is the folder of a dump."""
    return (path / "about.json").is_file()


def read(folder: Path) -> Kept:
    """Read a dump.

    Raises:
        SettingsError: It is none, or of a newer format.
    """
    try:
        about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
        if about.pop("format") != _FORMAT:
            raise SettingsError(f"{folder} was written by a newer Duplex")
        file = document.parse(about.pop("settings"), str(folder / "about.json"))
        with wave.open(str(folder / "caller.wav")) as sound:
            rate = sound.getframerate()
            audio = sound.readframes(sound.getnframes())
        entries = [json.loads(line) for line in _lines(folder / "arrivals.jsonl")]
        evidence = list(_lines(folder / "evidence.jsonl"))
    except (OSError, ValueError, KeyError, wave.Error) as error:
        raise SettingsError(f"{folder} is no dump of `duplex record`: {error}") from error
    return Kept(
        Settings.model_validate(file.values), about, rate, list(_split(entries, audio)), evidence
    )


def _split(
    entries: list[dict[str, Any]], audio: bytes
) -> Iterator[tuple[float, Int16Array | dict[str, Any]]]:
    start = 0
    for entry in entries:
        if "message" in entry:
            yield entry["at_s"], entry["message"]
            continue
        packet = audio[start : start + entry["bytes"]]
        start += entry["bytes"]
        yield entry["at_s"], np.frombuffer(packet, np.int16)


def _lines(path: Path) -> Iterator[str]:
    return (line for line in path.read_text(encoding="utf-8").splitlines() if line)
