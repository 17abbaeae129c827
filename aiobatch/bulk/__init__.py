"""Bulk loads, exports and copies: files and tables of any length, in bounded memory."""
