"""Asterisk's two sockets for audio: AudioSocket over TCP, and the WebSocket channel."""
