"""Recognisers on other machines: our own service, and any server that speaks OpenAI's protocols."""
