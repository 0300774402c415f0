"""Stage 1 of 8, transports: packets in, PCM out; and at the far end of the path the reverse."""
