"""Cryptography of IKEv2: PRFs, ciphers, key exchange methods, key schedule, authentication."""
