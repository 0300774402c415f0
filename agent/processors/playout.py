"""Speech in; paced packets out, and the words that were heard."""

import asyncio
import contextlib
from collections import deque

from pipecat.frames.frames import (
    EagerEndOfTurnCancelFrame,
    EndFrame,
    Frame,
    InputTransportMessageFrame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMMessagesAppendFrame,
    OutputAudioRawFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    UserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import (
    FrameDirection,
    FrameProcessorSetup,
)

from agent.audio.chunk import Int16Array, samples
from agent.audio.resample import StreamResampler
from agent.observe.record import TurnRecorder
from agent.playout.buffer import PlayoutBuffer
from agent.playout.ledger import Ledger, LedgerWord
from agent.playout.position import HeardPosition
from agent.processors.far_end import FarEnd
from agent.processors.frames import (
    ClientEventFrame,
    DraftStartFrame,
    SpeechFrame,
    TurnDecisionFrame,
)
from agent.processors.heard import HeardAnswer
from agent.settings import PlayoutSettings
from agent.stage import Stage
from agent.tts.speech import Speech
from agent.turns.events import DecisionKind

DUCKED = 0.3
"""Gain while something that may be speech is heard over the agent: 10 dB down, still followed."""

_REPORT_LATE_S = 1.0
"""How long past a channel's delay a client may take to report the end of an answer."""

_STUCK_S = 5.0
"""A line that has taken no packet for so long has nobody at its end."""

WORDS = "words"
"""Key of a packet's metadata: the words that count as heard within it, each with the sample."""

_HEARD_STEP_S = 0.05
"""How often the heard position is looked at while the last packets sound."""


class Playout(Stage):
    """Paces speech by what the transport has taken, never more than `lead_s` ahead.

    `PlayoutAck`, behind the transport, says what was taken. The window holds `lead_s` of
    audio; full, speech waits in the buffer. So does a draft, until its turn has ended.
    """

    def __init__(
        self,
        settings: PlayoutSettings,
        recorder: TurnRecorder,
        *,
        sample_rate: int,
        delay_s: float,
        fades: bool = True,
        far_end: FarEnd | None = None,
        interruption_note: str | None = None,
    ) -> None:
        """Begin silent.

        Args:
            settings: Packet length and lead.
            recorder: Of the session.
            sample_rate: Of the voice, in Hz.
            delay_s: From a packet's leaving to its sounding, where the client reports nothing.
            interruption_note: What the model is told when the user cuts it off.
            fades: Whether a cut ends in a faded tail of ours; no if the client fades itself.
            far_end: Told what leaves for the loudspeaker.
        """
        super().__init__()
        self._recorder = recorder
        self._rate = sample_rate
        self._packet = samples(settings.packet_s, sample_rate)
        self._window = max(1, round(settings.lead_s / settings.packet_s))
        self._fades = fades
        self._far_end = far_end or FarEnd(sample_rate)
        self._note = interruption_note
        self._buffer = PlayoutBuffer(sample_rate)
        self._ledger = Ledger(sample_rate)
        self._answer = HeardAnswer(self._ledger, recorder, self.push_frame)
        self._heard = HeardPosition(sample_rate, delay_s)
        self._resampler: StreamResampler | None = None
        self._outstanding: deque[tuple[Int16Array, int]] = deque()
        self._draft: DraftStartFrame | None = None
        self._end: LLMFullResponseEndFrame | None = None
        self._is_away = False
        self._at_rest = asyncio.Event()
        self._at_rest.set()
        self._wake = asyncio.Event()
        self._pacer: asyncio.Task[None] | None = None
        self._taken = 0

    @property
    def is_busy(self) -> bool:
        """Whether a response is being made or heard."""
        return bool(self._end or self._outstanding) or not self._buffer.is_done

    @property
    def waiting_s(self) -> float:
        """Seconds of speech made and not handed out."""
        return self._buffer.pending / self._rate

    async def setup(self, setup: FrameProcessorSetup) -> None:
        """Start the pacer."""
        await super().setup(setup)
        self._pacer = self.create_task(self._pace())

    async def cleanup(self) -> None:
        """Stop the pacer."""
        await super().cleanup()
        if self._pacer:
            await self.cancel_task(self._pacer)
            self._pacer = None

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Take speech; hold a response's end until its last word was heard."""
        await super().process_frame(frame, direction)
        match frame:
            case SpeechFrame():
                if not self._is_withdrawn:
                    self._add(frame.speech)
            case LLMFullResponseStartFrame():
                # An apology may follow an answer that is still being heard.
                await self._rest()
                await self._begin(frame)
            case LLMFullResponseEndFrame():
                if not self._is_withdrawn:
                    self._close_buffer()
                    self._end = frame
                    self._wake.set()
            case UserStoppedSpeakingFrame() | EagerEndOfTurnCancelFrame():
                await self.push_frame(frame, direction)
                await self._settle_draft()
            case InterruptionFrame():
                await self._cut(frame, direction)
            case TurnDecisionFrame():
                self._yield_or_go_on(frame.decision.kind)
                await self.push_frame(frame, direction)
            case EndFrame():
                # A farewell is heard to its end; a draft nobody waits for is not.
                if not self._is_held:
                    await self._rest(though_held=False)
                await self.push_frame(frame, direction)
            case InputTransportMessageFrame():
                self._on_report(frame.message)
                await self.push_frame(frame, direction)
            case _:
                await self.push_frame(frame, direction)

    def abandon(self) -> None:
        """Nobody listens any more: let the conversation end at once."""
        self._at_rest.set()

    def hold(self) -> None:
        """The listener is away: stop on the packet that is leaving."""
        self._is_away = True
        self._outstanding.clear()
        self._recorder.speech_paused()

    def go_on(self) -> None:
        """The listener is back: go on with what was not sent."""
        self._is_away = False
        self._heard.rejoined()
        self._wake.set()

    async def _rest(self, *, though_held: bool = True) -> None:
        """Wait until what is being said has been heard, as long as it gets anywhere.

        Args:
            though_held: Wait also while the agent is paused or the listener away.
        """
        while not self._at_rest.is_set():
            before = self._taken
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._at_rest.wait(), _STUCK_S)
            is_held = self._buffer.is_paused or self._is_away
            if self._taken == before and not (though_held and is_held):
                return

    def _yield_or_go_on(self, kind: DecisionKind) -> None:
        match kind:
            case DecisionKind.DUCK:
                self._buffer.duck(DUCKED)
            case DecisionKind.PAUSE:
                self._buffer.pause()
            case DecisionKind.RESUME | DecisionKind.BACKCHANNEL:
                self._buffer.duck(1.0)
                self._buffer.resume()
        self._wake.set()

    def taken(self) -> None:
        """The transport has taken the oldest outstanding packet."""
        self._taken += 1
        if self._outstanding:
            packet, position = self._outstanding.popleft()
            self._heard.sent(len(packet), position, self._now())
            self._far_end.play(packet)
            self._recorder.packet_left(len(packet) / self._rate)
            if not self._outstanding and (self._buffer.is_paused or not self._buffer.pending):
                self._recorder.speech_paused()
            self._answer.packet_sounds(packet, self._rate)
            self._wake.set()

    @property
    def _is_held(self) -> bool:
        """Whether what is in the buffer must not be heard yet, or ever."""
        return self._draft is not None

    @property
    def _has_room(self) -> bool:
        return len(self._outstanding) < self._window

    @property
    def _is_withdrawn(self) -> bool:
        return self._draft is not None and self._draft.draft.is_withdrawn

    async def _begin(self, start: LLMFullResponseStartFrame) -> None:
        self._at_rest.clear()
        self._buffer.open()
        self._ledger.begin()
        self._end = None
        if isinstance(start, DraftStartFrame):
            self._draft = start
            await self._settle_draft()
        else:
            self._draft = None
            await self._release(start)

    async def _settle_draft(self) -> None:
        """Let a confirmed draft be heard, and make a withdrawn one as if it had never been."""
        start = self._draft
        if start is None or start.draft.is_pending:
            return
        if not start.draft.is_withdrawn:
            self._draft = None
            await self._release(start)
            return
        # It stays here, and keeps out what of it still arrives, until another response begins.
        self._drop_speech()
        self._ledger.cut()
        self._end = None
        self._at_rest.set()

    async def _release(self, start: LLMFullResponseStartFrame) -> None:
        self._answer.begin()
        await self.push_frame(start)
        self._wake.set()

    def _on_report(self, message: object) -> None:
        if not isinstance(message, dict) or message.get("type") != "played":
            return
        played = message.get("samples")
        if isinstance(played, int) and not isinstance(played, bool):
            self._heard.reported(played, self._now(), cleared=message.get("cleared") is True)
            self._wake.set()

    async def _pace(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while not self._is_held and not self._is_away and self._has_room:
                before = self._buffer.position
                packet = self._buffer.take(self._packet)
                if packet is None:
                    break
                await self._send(packet, before)
            await self._tell_heard()
            is_out = self._buffer.is_done and not self._outstanding and not self._is_away
            if self._end and not self._is_held and is_out:
                await self._finish(self._end)

    async def _send(self, packet: Int16Array, before: int) -> None:
        if not self._answer.is_speaking:
            self._answer.is_speaking = True
            await self.push_frame(TTSStartedFrame())
            await self._answer.tell_floor()
        self._outstanding.append((packet, self._buffer.position))
        frame = TTSAudioRawFrame(audio=packet.tobytes(), sample_rate=self._rate, num_channels=1)
        if words := self._ledger.sent_until(self._buffer.position):
            frame.metadata[WORDS] = self._placed(words, before)
        await self.push_frame(frame)

    def _placed(self, words: list[LedgerWord], packet_start: int) -> list[tuple[str, int]]:
        """Words, each with the sample of the packet from which on it counts as heard."""
        return [(word.text, max(0, round(word.middle) - packet_start)) for word in words]

    async def _finish(self, end: LLMFullResponseEndFrame) -> None:
        """Wait until the last word has sounded, then let the response end."""
        deadline = self._heard.settled_at() + _REPORT_LATE_S * self._heard.is_reported
        while self._end is end and self._ledger.unheard_text:
            left = deadline - self._now()
            await self._tell_heard()
            if left <= 0:
                # A client that stops reporting must not keep the conversation from going on.
                await self._answer.heard_until(self._buffer.position)
                break
            await asyncio.sleep(min(left + 0.001, _HEARD_STEP_S))
        if self._end is not end:
            return
        self._end = None
        # A response without speech, a tool call or a failure, is none to the listener.
        if self._answer.is_speaking:
            await self._close_turn(interrupted=False)
        await self.push_frame(end)
        self._at_rest.set()

    async def _cut(self, frame: InterruptionFrame, direction: FrameDirection) -> None:
        await self._tell_heard()
        was_speaking = self._answer.is_speaking
        tail = self._drop_speech()
        self._ledger.cut()
        self._heard.cut()
        self._far_end.cut()
        self._end = None
        self._draft = None
        self._at_rest.set()
        if was_speaking:
            await self.push_frame(ClientEventFrame(event={"type": "clear"}))
            await self._close_turn(interrupted=True)
        await self.push_frame(frame, direction)
        if was_speaking and self._note:
            await self.push_frame(
                LLMMessagesAppendFrame(
                    messages=[{"role": "system", "content": self._note}], run_llm=False
                )
            )
        if was_speaking and self._fades and len(tail):
            await self.push_frame(
                OutputAudioRawFrame(audio=tail.tobytes(), sample_rate=self._rate, num_channels=1)
            )

    def _drop_speech(self) -> Int16Array:
        """Empty the buffer; return a tail that continues what the listener hears last."""
        # The transport is writing the oldest packet and drops those behind it.
        dropped = [packet for packet, _ in list(self._outstanding)[1:]]
        self._outstanding.clear()
        self._recorder.speech_paused()
        tail = self._buffer.cut()
        self._resampler = None
        return self._buffer.fade_out(dropped[0]) if dropped else tail

    def _add(self, speech: Speech) -> None:
        pcm = speech.pcm
        if speech.sample_rate != self._rate:
            self._resampler = self._resampler or StreamResampler(speech.sample_rate, self._rate)
            pcm = self._resampler.push(pcm)
        self._ledger.add(speech.words, self._buffer.add(pcm))
        self._wake.set()

    def _close_buffer(self) -> None:
        if self._resampler:
            self._buffer.add(self._resampler.flush())
            self._resampler = None
        self._buffer.close()

    async def _close_turn(self, *, interrupted: bool) -> None:
        await self._answer.close(interrupted=interrupted)
        await self.push_frame(TTSStoppedFrame())
        await self._answer.tell_floor()

    async def _tell_heard(self) -> None:
        await self._answer.heard_until(self._heard.at(self._now()))

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
