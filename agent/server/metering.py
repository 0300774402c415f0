"""Counts one conversation: what its client is told, and what its recorder is."""

from collections.abc import Callable

from loguru import logger
from pipecat.frames.frames import Frame, FunctionCallResultFrame

from agent.observe.metrics import Metrics
from agent.observe.record import TurnRecorder
from agent.processors.frames import ClientEventFrame

_SOUNDING = ("speaking", "paused")


class Meter:
    """Sees what `VoiceSession.watchers` see.

    Args:
        metrics: Of the process.
        recorder: Of the session; its hooks become ours.
        packet_left: Told also how late each packet left.
    """

    def __init__(
        self,
        metrics: Metrics,
        recorder: TurnRecorder,
        packet_left: Callable[[float], None] = lambda late_s: None,
    ) -> None:
        self._metrics = metrics
        self._agent = "silent"
        self._is_drafted = False
        self._packet_left = packet_left
        recorder.watch_lateness = self._late
        recorder.watch_failover = lambda part: metrics.failovers.labels(part).inc()

    def see(self, frame: Frame) -> None:
        """Count."""
        match frame:
            case ClientEventFrame(event={"type": "decision", "kind": str(kind)}):
                self._decided(kind)
            case ClientEventFrame(event={"type": "floor", "agent": str(agent)}):
                self._agent = agent
            case ClientEventFrame(
                event={"type": "turn", "turn": int(turn), "stages": dict(stages)}
            ):
                self._answered(turn, stages)
            case FunctionCallResultFrame(result=result):
                failed = isinstance(result, dict) and "error" in result
                self._metrics.tool_calls.labels("failed" if failed else "done").inc()

    def _late(self, late_s: float) -> None:
        self._metrics.lateness_s.observe(late_s)
        self._packet_left(late_s)

    def _decided(self, kind: str) -> None:
        metrics = self._metrics
        metrics.decisions.labels(kind).inc()
        match kind:
            case "SPECULATE":
                self._is_drafted = True
            case "COMMIT":
                self._is_drafted = False
            case "RESUME" | "BACKCHANNEL" if self._agent in _SOUNDING:
                metrics.resumes.inc()
            case "RESUME" if self._is_drafted:
                self._is_drafted = False
                metrics.drafts_withdrawn.inc()
            case "BARGE_IN" if self._agent in _SOUNDING:
                metrics.barge_ins.inc()
            case "BARGE_IN":
                metrics.cut_offs_withdrawn.inc()

    def _answered(self, turn: int, stages: dict[str, float]) -> None:
        if not stages:
            return
        metrics = self._metrics
        metrics.turns.inc()
        for name, seconds in stages.items():
            if name == "voice_to_voice_s":
                metrics.voice_to_voice_s.observe(seconds)
            else:
                metrics.stage_s.labels(name.removesuffix("_s")).observe(seconds)
        logger.bind(**stages).info("turn {} answered", turn)
