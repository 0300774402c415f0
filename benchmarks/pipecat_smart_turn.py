"""Smart Turn as Pipecat runs it: the packaged graph over 8 s, by Pipecat's own code."""

from pipecat.audio.turn.smart_turn.local_smart_turn_v3 import LocalSmartTurnAnalyzerV3

from agent.audio.chunk import Int16Array, to_float


class PipecatSmartTurn:
    """Scores stretches of audio."""

    def __init__(self) -> None:
        self._analyzer = LocalSmartTurnAnalyzerV3(cpu_count=1)

    def score(self, pcm: Int16Array) -> float:
        """Probability that a turn ending with `pcm` is finished.

        Args:
            pcm: Shape (n,), int16, 16 kHz; only the last 8 s are heard.
        """
        # Its public door wants a clock and a running pipeline, and adds what it heard before.
        return float(self._analyzer._predict_endpoint(to_float(pcm))["probability"])
