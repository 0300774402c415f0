"""Duplex: voice agents that listen while they speak."""
