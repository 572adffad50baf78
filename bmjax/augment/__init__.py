"""Device side: (key, images, ...) -> images, pure jnp, batch first."""
