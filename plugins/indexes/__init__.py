"""Shipped vector indexes."""
