"""Heads: small networks that learn, patch by patch, on features of a backbone that stays frozen."""
