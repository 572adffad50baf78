"""Throughput of the compiled step, the loop and the loader."""
