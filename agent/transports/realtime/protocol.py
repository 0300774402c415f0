"""The Realtime protocol of one session: events in, what happens in; commands and events out. Pure.

Whatever a client sends is answered, if only by an `error` event, and never ends the session.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace

from agent.transports.realtime.answering import Answering
from agent.transports.realtime.asides import Asides
from agent.transports.realtime.asking import Asked, read_request
from agent.transports.realtime.audio import AudioWriter, read_audio
from agent.transports.realtime.commands import (
    AddMessage,
    CancelAside,
    Command,
    Configure,
    EndTurn,
    Hear,
    Interrupt,
    Place,
    Respond,
    RespondAside,
    Rewrite,
)
from agent.transports.realtime.configuration import (
    FORMATS,
    Configuration,
    modalities,
    read_choice,
)
from agent.transports.realtime.dialects import in_beta
from agent.transports.realtime.editing import Editing
from agent.transports.realtime.events import (
    Event,
    EventError,
    error_event,
    new_id,
    read_event,
)
from agent.transports.realtime.hearing import Hearing
from agent.transports.realtime.items import Item, Items

_LEAST_COMMIT_S = 0.1
"""OpenAI's own bound; less holds no word."""

_MOST_BACKLOG = 32 << 20
"""Bytes of audio behind a turn whose text is not known yet, 11 minutes of it. More is refused."""


class RealtimeProtocol:
    """One session. Pure: the shell drains `take` after every call."""

    def __init__(self, settings: Configuration, *, is_beta: bool = False) -> None:
        """Begin; `begin` tells the client.

        Args:
            settings: Until the client changes them.
            is_beta: Whether the client speaks the protocol's beta.
        """
        self.settings = settings
        self.id = new_id("sess")
        self._conversation = new_id("conv")
        self.is_beta = is_beta
        self._events: list[Event] = []
        self._commands: list[Command] = []
        self.items = Items()
        self.hearing = Hearing(self.items, self._send)
        self.answering = Answering(self.items, self._send, self._of_responses, self._on_closed)
        self.asides = Asides(self._send, lambda: self._of_responses(True, False))
        self.editing = Editing(
            self.items, self._send, self._command, lambda: self.answering.speaking
        )
        self._writer = AudioWriter()
        self._buffered_s = 0.0
        self._backlog: list[Hear | EndTurn] = []
        self._backlog_bytes = self._discards = 0
        self._turns_to_store = 0
        self._wanted: Respond | None = None
        self._wanted_aside: deque[RespondAside] = deque()
        self._lent: frozenset[str] = frozenset()
        """Names of the client's functions that the answer under way may call."""
        self._cancelled = False
        self._read: dict[str, Callable[[Event], None]] = {
            "session.update": self._on_update,
            "input_audio_buffer.append": self._on_append,
            "input_audio_buffer.commit": self._on_commit,
            "input_audio_buffer.clear": self._on_clear,
            "conversation.item.create": self.editing.create,
            "conversation.item.retrieve": self.editing.retrieve,
            "conversation.item.truncate": self.editing.truncate,
            "conversation.item.delete": self.editing.delete,
            "response.create": self._on_respond,
            "response.cancel": self._on_cancel,
        }
        self._adopt(settings)

    def take(self) -> tuple[list[Event], list[Command]]:
        """Return what is to be sent and to be done since last asked."""
        events, self._events = self._events, []
        commands, self._commands = self._commands, []
        return events, commands

    @property
    def _finds_but_leaves(self) -> bool:
        """Whether turns are found here and answered only when the client asks."""
        detection = self.settings.turn_detection
        return detection is not None and not detection.create_response

    @property
    def awaits_silence(self) -> bool:
        """Whether a turn cannot end unless its silence is heard."""
        return self.settings.turn_detection is not None and self.hearing.is_open

    @property
    def writes(self) -> bool:
        """Whether what the agent says next is written to the client, and not spoken."""
        writes = self.answering.writes
        return self.settings.writes if writes is None else writes

    # From the client.

    def begin(self) -> None:
        """Say what the session is."""
        self._send({"type": "session.created", "session": self.settings.described(self.id)})
        if self.is_beta:
            about = {"id": self._conversation, "object": "realtime.conversation"}
            self._send({"type": "conversation.created", "conversation": about})

    def read(self, message: str | bytes) -> None:
        """Take one message, whatever it is."""
        event_id: object = None
        try:
            if isinstance(message, bytes):
                raise EventError("events are text; audio goes in input_audio_buffer.append")
            event = read_event(message)
            event_id = event.get("event_id")
            act = self._read.get(event["type"])
            if act is None:
                raise EventError(
                    f"this server does not know {event['type'][:80]!r}", "unknown_event", "type"
                )
            act(event)
        except EventError as error:
            self._send(error_event(error, event_id))

    def _on_update(self, event: Event) -> None:
        before = self.settings
        settings = before.updated(event.get("session"))
        if settings.tool_choice != before.tool_choice or settings.tools != before.tools:
            read_choice(settings.tool_choice, [tool.name for tool in settings.tools])
        self._adopt(settings)
        if settings != before:
            self._commands.append(Configure(settings))
        if self.hearing.is_open and settings.turn_detection is None:
            self._listen(EndTurn(discard=True))
        self._send({"type": "session.updated", "session": settings.described(self.id)})

    def _on_append(self, event: Event) -> None:
        kind = self.settings.input_format
        pcm = read_audio(event.get("audio"), kind)
        if self._backlog_bytes + len(pcm) > _MOST_BACKLOG:
            raise EventError("the buffer is full", "input_audio_buffer_full", "audio")
        self._buffered_s += len(pcm) / (2 * FORMATS[kind])
        if pcm:
            self._listen(Hear(pcm, FORMATS[kind]))

    def _on_commit(self, _: Event) -> None:
        if self.settings.turn_detection is None:
            if self._buffered_s < _LEAST_COMMIT_S:
                raise EventError(
                    f"the buffer holds {self._buffered_s * 1000:.0f} ms of audio; a turn has at "
                    f"least {_LEAST_COMMIT_S * 1000:.0f}",
                    "input_audio_buffer_commit_empty",
                )
            self._listen(EndTurn())
        elif self.hearing.is_open:
            self._listen(EndTurn())
        else:
            raise EventError("nobody has spoken", "input_audio_buffer_commit_empty")

    def _on_clear(self, _: Event) -> None:
        self._buffered_s = 0.0
        self._listen(EndTurn(discard=True))
        self._send({"type": "input_audio_buffer.cleared"})

    def _listen(self, command: Hear | EndTurn) -> None:
        """Pass on audio and ends, one turn of the client's at a time.

        What is sent in one go would otherwise be heard before the turn before it is closed.
        """
        is_manual = self.settings.turn_detection is None
        if is_manual and (self.hearing.awaited or self._discards):
            self._backlog.append(command)
            if isinstance(command, Hear):
                self._backlog_bytes += len(command.pcm)
            return
        self._commands.append(command)
        if is_manual and command == EndTurn(discard=True):
            self._discards += 1
        if is_manual and command == EndTurn():
            self._turns_to_store += 1
            self.hearing.commit(self._buffered_s)
            self._buffered_s = 0.0

    def _on_respond(self, event: Event) -> None:
        asked = read_request(event, self.settings, self.items)
        if asked.is_aside:
            response_id = self.asides.request(asked.metadata)
            respond = replace(asked.respond, tools=asked.tools)
            self._wanted_aside.append(RespondAside(response_id, respond))
        else:
            self._begin_answer(asked)
        self._release()

    def _begin_answer(self, asked: Asked) -> None:
        if self.answering.is_active or self._wanted:
            active = self.answering.active_id
            raise EventError(
                f"the conversation has a response in progress, {active}: wait until it is done",
                "conversation_already_has_active_response",
            )
        self.answering.request(asked.metadata, writes=asked.writes, is_kept=asked.is_kept)
        self._wanted = asked.respond
        self._lent = frozenset(tool.name for tool in asked.respond.tools or ())

    def _on_cancel(self, event: Event) -> None:
        named = event.get("response_id")
        if isinstance(named, str) and self.asides.has(named):
            self.asides.cancel(named)
            self._commands.append(CancelAside(named))
            return
        active = self.answering.active_id
        if active is None or named not in (None, active):
            raise EventError("there is no such response in progress", "response_cancel_not_active")
        self._cancelled = True
        if self._wanted:
            # The pipeline knows nothing of it, and may be busy with the turn before.
            self._wanted = None
            self.interrupted()
        else:
            self._commands.append(Interrupt())

    # From the pipeline.

    def told(self, event: Event) -> None:
        """Take one event of our own vocabulary; see docs/protocol.md."""
        match event:
            case {"type": "floor", "user": str(user), "agent": str(agent), "at_s": float(at_s)}:
                self.hearing.floor(user, agent, at_s)
            case {"type": "decision", "kind": str(kind), "at_s": float(at_s)}:
                silence_s = event.get("evidence", {}).get("silence_s", 0.0)
                is_lost = self.hearing.decision(kind, at_s, silence_s)
                if kind == "HOLD":
                    self._discards = max(0, self._discards - 1)
                if is_lost:
                    self._turn_over()
                elif kind == "HOLD":
                    self._catch_up()
                elif kind == "COMMIT" and self._finds_but_leaves:
                    self._turns_to_store += 1
            case {"type": "transcript", "role": "user", "text": str(text), "final": bool(final)}:
                is_known = self.hearing.text(text, is_final=final)
                if is_known and not text:
                    self._turn_over()
                elif is_known:
                    self._release()
            case {"type": "correction", "text": str(text), "replaced": str(replaced)}:
                self.items.correct(replaced, text)
            case {"type": "transcript", "role": "assistant", "text": str(text)}:
                self.answering.heard(text)

    def turn_stored(self) -> None:
        """The user's turn is in the context, and nobody answers it by himself."""
        self._turn_over()

    def result_stored(self, call_id: str) -> None:
        """The output of a call is in the context."""
        self.editing.result_stored(call_id)
        self._release()

    def queued(self, pcm_bytes: int, words: Sequence[tuple[str, int]]) -> None:
        """Note a packet of the agent's audio that is about to be sent, PCM16 at 24 kHz."""
        self.answering.queued(pcm_bytes // 2, words)

    def sent(self, pcm: bytes) -> None:
        """Send a packet."""
        if self.answering.speaking is not None:
            data = self._writer.write(pcm, self.settings.output_format)
            self.answering.sent(data, len(pcm) // 2)

    def called(self, name: str, call_id: str, arguments: str) -> None:
        """The language model calls a function."""
        if name in self._lent or any(tool.name == name for tool in self.settings.tools):
            self.editing.called(call_id)
            self.answering.called(name, call_id, arguments)
        else:
            self.answering.called_here()

    def wrote(self, text: str) -> None:
        """Tell what the agent writes."""
        self.answering.wrote(text)

    def ended(self, *, more_follows: bool = False, failure: str = "") -> None:
        """What the agent had to say has been heard, or written.

        Args:
            more_follows: It was said to bridge the time until the answer.
            failure: Why there is no answer.
        """
        self._writer.cut()
        # What the client asked for and the model does not know of yet cannot have been answered.
        self.answering.ended(
            more_follows=more_follows or self._wanted is not None,
            failure="" if self._wanted else failure,
        )

    def interrupted(self) -> None:
        """The agent was cut off."""
        spoken = self.answering.speaking
        self._writer.cut()
        self.answering.interrupted(by_client=self._cancelled)
        self._cancelled = False
        if spoken:
            self.editing.fell_silent(spoken)

    def _turn_over(self) -> None:
        self._turns_to_store = max(0, self._turns_to_store - 1)
        self._release()
        self._catch_up()

    def _catch_up(self) -> None:
        backlog, self._backlog, self._backlog_bytes = self._backlog, [], 0
        for command in backlog:
            self._listen(command)

    def _release(self) -> None:
        """Let answers be made once all they answer is in the context."""
        if self._turns_to_store or self.editing.awaits_result:
            return
        if self._wanted:
            self._commands.append(self._wanted)
            self._wanted = None
        while self._wanted_aside and not self.hearing.awaited:
            aside = self._wanted_aside.popleft()
            if self.asides.has(aside.response_id):
                self._commands.append(aside)

    def _on_closed(self, item: Item, is_kept: bool) -> None:
        """A message of the agent's is over: the context holds it, or no longer does."""
        if is_kept and not item.is_audio and item.text:
            self._commands.append(AddMessage(item.message()))
        elif item.is_audio and item.text and not is_kept:
            self._commands.append(Rewrite(Place("assistant", item.text), ""))

    def _adopt(self, settings: Configuration) -> None:
        detection = settings.turn_detection
        self.settings = settings
        self.hearing.finds_turns = detection is not None
        holding = {"thinking", "speaking", "paused"}
        if detection and not detection.interrupt_response:
            holding = set()
        elif detection and not detection.create_response:
            # Nobody thinks after a turn that is not answered.
            holding -= {"thinking"}
        self.hearing.holding = frozenset(holding)
        self.hearing.shows_text = settings.transcription is not None

    def _of_responses(self, writes: bool | None, is_kept: bool) -> Event:
        described = self.settings.described(self.id)
        output = described["audio"]["output"]
        writes = self.settings.writes if writes is None else writes
        return {
            "conversation_id": self._conversation if is_kept else None,
            "output_modalities": modalities(writes=writes),
            "max_output_tokens": described["max_output_tokens"],
            "audio": {"output": {"format": output["format"], "voice": output["voice"]}},
        }

    def _command(self, command: Command) -> None:
        self._commands.append(command)

    def _send(self, event: Event) -> None:
        said = in_beta(event) if self.is_beta else event
        if said is not None:
            self._events.append({"event_id": new_id("event"), **said})
