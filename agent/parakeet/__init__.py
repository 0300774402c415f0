"""The Parakeet service: recognition for many agents on one GPU machine.

A front without torch (HTTP, WebSocket, admission, batching, health, metrics) and one worker process
per device (`worker`) with one owner thread in which an `engine.Engine` lives. The agent's process
never imports this package; it speaks to it over the network (docs/parakeet.md).
"""
