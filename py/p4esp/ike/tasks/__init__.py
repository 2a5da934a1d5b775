"""Exchanges as tasks: each has a build and a process half for the initiator and the responder."""
