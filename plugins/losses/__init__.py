"""Shipped losses."""
