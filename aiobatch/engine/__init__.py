"""The engine: entries in, requests out, and an account of where each entry ended."""
