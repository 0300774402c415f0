"""Stage 7 of 8, tts: clauses in, PCM with word times out."""
