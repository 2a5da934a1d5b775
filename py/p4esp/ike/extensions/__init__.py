"""Features that only add payloads to exchanges of others, and read them there.

Each is one module and one object in `Environment.extensions`; leaving it out switches it off.
"""
