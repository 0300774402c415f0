"""``WS /v1/realtime?intent=transcription``: OpenAI's Realtime protocol, its transcription part.

What OpenAI's SDK and Pipecat's ``OpenAIRealtimeSTTService`` speak: audio in base64, committed by
the client or by voice activity detection here.
"""
