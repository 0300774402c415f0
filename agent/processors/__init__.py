"""Pipecat on the outside, our stages on the inside.

One processor a stage, each a thin shell: it receives frames, calls a core that knows nothing of
Pipecat, and pushes frames. In the order of a pipeline: `Listening`, `Recognition`, `TurnTaking`,
Pipecat's own aggregator and language model, `Synthesis`, `Playout`.
"""
