"""Stage 5 of 8, turns: posterior, hypotheses and prosody in, decisions about the floor out."""
