"""Image files: which there are, what their headers say, their pixels."""
