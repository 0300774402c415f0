"""Pipecat on the outside, our stages on the inside.

One processor a stage, each a thin shell: it receives frames, calls a core that knows nothing of
Pipecat, and pushes frames. In the order of a pipeline: `Listening`, `Recognition`, `TurnTaking`,
Pipecat's own aggregator and language model, `Synthesis`, `Playout`.

A processor hands each frame to the next one's queue, and a queue is a task that must be woken: with
fifty packets a second both ways, most of what a call costs. Those that never wait for anything have
no queue of their own (Pipecat's direct mode). `TurnTaking` has one: what follows from a decision
must reach it behind the decision.
"""
