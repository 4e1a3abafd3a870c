"""The parts of ../reentrancy.py, which says what they are for."""
