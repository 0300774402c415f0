"""Telephone calls without a provider: a SIP user agent over UDP, with G.711 over RTP.

`message`, `transactions`, `dialog`, `sdp`, `rtp` and `digits` are pure; `agent` and `media` own the
sockets; `transport` puts a call in front of the pipeline.
"""
