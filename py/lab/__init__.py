"""Network labs in namespaces of their own: what `make lab` and the interoperability suite share."""
