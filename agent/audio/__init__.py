"""Stage 2 of 8, audio: packets of any shape in, 16 kHz mono int16 on one media clock out."""
