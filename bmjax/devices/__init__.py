"""Devices: their mesh, their memory and speed, and how jax is started."""
