"""What plugin authors test with: fixtures, and a contract for each interface."""
