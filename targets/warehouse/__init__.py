"""What the warehouse keeps besides data, and the command ``warehouse``."""
