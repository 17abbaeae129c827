"""A fleet of workers on one table, simulated to 1,000 of them, and one process measured."""
