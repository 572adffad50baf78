"""An accelerator's first hour: checks and timings, each in a process of its own."""
