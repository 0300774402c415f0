"""Stage 3 of 8, vad: 32 ms hops in, one speech posterior out, read by several endpointers."""
