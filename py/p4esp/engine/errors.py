"""Errors of the engine's key side."""

from __future__ import annotations


class KeyStoreError(ValueError):
    """A request that the key store refuses; the text says what would be accepted."""


class TransformError(KeyStoreError):
    """An unknown transform, a second one of the same name, or key material of a wrong length."""


class HandlesExhaustedError(KeyStoreError):
    """Every 32-bit handle of this engine's life was used."""


class HandleError(KeyStoreError):
    """No key of the kind that is asked for has that handle."""


class EngineUnavailableError(ConnectionError):
    """The engine did not answer: it is gone, or its key service is."""


class AttachmentError(ConnectionError):
    """The way to the crypto port is not there, or it ended."""
