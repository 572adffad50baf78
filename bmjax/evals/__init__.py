"""Evaluation: frozen features, probes on them, and honest metrics."""
