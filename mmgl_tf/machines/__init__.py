"""Devices, workers and machines: strategies, the launcher, what a lost worker means."""
