"""Host side: folders, splits, order, decoding. numpy and grain only, never jax."""
