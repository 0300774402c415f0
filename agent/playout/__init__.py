"""Stage 8 of 8, playout: PCM in, paced packets and the ledger of heard words out."""
