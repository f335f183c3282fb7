"""Shipped algorithms."""
