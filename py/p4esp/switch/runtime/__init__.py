"""State of a running program: tables, profiles, counters, meters, registers; what code calls."""
