"""OpenAI's Realtime protocol: its events in, commands out; what happens in, its events out.

The protocol is a pure core (`protocol`), in the parts of which the API speaks: the session
(`configuration`), the input buffer (`hearing`), responses (`answering`) and items (`items`).
"""
