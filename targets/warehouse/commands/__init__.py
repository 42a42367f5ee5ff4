"""The commands of ``warehouse``: one module each, its name the command's."""
