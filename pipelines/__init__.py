"""Ready agents, one screen each: run them as they are, or copy and change."""
