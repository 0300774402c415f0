"""The providers' media streams, one module each."""
