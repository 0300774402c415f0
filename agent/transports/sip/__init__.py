"""Telephone calls without a provider: a SIP user agent, with G.711 or Opus over RTP.

`message`, `transactions`, `dialog`, `sdp`, `codecs`, `rtp`, `digits` and `hearing` are pure;
`agent` and `media` own the sockets; `call` is the line that a pipeline talks over.
"""
