"""What commands share on a terminal: signals and progress."""
