"""Ties to other libraries, each in a module that imports its library; the core imports none."""
