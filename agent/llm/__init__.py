"""Stage 6 of 8, llm: what was really said and heard in, clauses of the answer out."""
