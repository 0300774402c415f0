"""Stage 4 of 8, asr: gated PCM in, Hypothesis out."""
