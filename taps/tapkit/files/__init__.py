"""Reading files: where they are, how they are written, and which of them changed."""
